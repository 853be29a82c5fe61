const text = '\u00e9\u0159'.repeat(1 << 20);
for (;;) text.isWellFormed();
