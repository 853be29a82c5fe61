const a = 3n ** 600000n, b = 3n ** 300000n + 1n;
for (;;) a % b;
