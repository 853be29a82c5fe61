const v = new DataView(new ArrayBuffer(4 << 20));
for (let n = 0; ; n++) v.setFloat64(n % 1000, n);
