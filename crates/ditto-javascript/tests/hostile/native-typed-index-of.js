const a = new Float64Array(1 << 19);
for (;;) a.indexOf(1);
