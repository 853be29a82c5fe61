const a = new Uint8Array(6 << 20), b = new Uint8Array(6 << 20);
for (;;) a.set(b);
