const text = '\u1e9b\u0323'.repeat(1 << 17);
for (;;) text.normalize('NFKD');
