const a = new Array(200000).fill(0);
for (;;) a.indexOf(1);
