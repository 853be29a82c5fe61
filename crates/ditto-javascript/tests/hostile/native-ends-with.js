const text = 'x'.repeat(7 << 20);
for (;;) text.endsWith(text);
