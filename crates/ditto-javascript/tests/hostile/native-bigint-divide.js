const a = 3n ** 600000n, b = 3n ** 300000n;
for (;;) a / b;
