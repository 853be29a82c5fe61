const a = 3n ** 600000n, b = a + 1n;
for (;;) a < b;
