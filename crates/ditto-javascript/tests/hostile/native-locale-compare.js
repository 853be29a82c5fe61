const text = '\u1e9b'.repeat(1 << 18);
for (;;) text.localeCompare(text);
