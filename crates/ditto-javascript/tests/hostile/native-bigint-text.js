const a = 3n ** 300000n;
for (;;) String(a);
