const a = 'x'.repeat(7 << 20), b = 'x'.repeat(7 << 20);
for (;;) a === b;
