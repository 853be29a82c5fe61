const text = 'x'.repeat(7 << 20);
for (;;) /[^x]/u.exec(text);
