const text = 'x'.repeat(7 << 20);
for (;;) /y/.test(text);
