let a = 3n ** 300000n;
for (;;) a * a;
