const text = 'x'.repeat(7 << 20), m = new Set([text]);
for (;;) m.has(text);
