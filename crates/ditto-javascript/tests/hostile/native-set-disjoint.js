const a = new Set(new Array(100000).keys()), b = new Set(new Array(100000).keys().map(n => -n - 1));
for (;;) a.isDisjointFrom(b);
