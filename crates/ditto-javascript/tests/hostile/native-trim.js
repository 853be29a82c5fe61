const text = ' '.repeat(7 << 20);
for (;;) text.trim();
