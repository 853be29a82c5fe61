const a = new Array(200000).fill(1);
for (;;) Object.groupBy(a, n => n);
