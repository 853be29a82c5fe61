const text = 'x'.repeat(7 << 20), m = new Map([['y', 1]]);
for (;;) m.get(text);
