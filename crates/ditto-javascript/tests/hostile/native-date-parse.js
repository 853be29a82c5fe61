const text = '1'.repeat(7 << 20);
for (;;) Date.parse(text);
