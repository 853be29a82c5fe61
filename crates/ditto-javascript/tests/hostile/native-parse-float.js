const text = '1'.repeat(7 << 20);
for (;;) parseFloat(text);
