const a = new Uint8Array(6 << 20);
for (;;) new Uint8Array(a);
