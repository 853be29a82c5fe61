const a = new Set(new Array(100000).keys());
for (;;) a.isSubsetOf(a);
