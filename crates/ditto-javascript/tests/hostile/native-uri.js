const text = '\u00e9'.repeat(1 << 20);
for (;;) encodeURIComponent(text);
