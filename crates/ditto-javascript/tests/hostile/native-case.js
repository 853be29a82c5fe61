const text = '\u00df'.repeat(1 << 20);
for (;;) text.toUpperCase();
