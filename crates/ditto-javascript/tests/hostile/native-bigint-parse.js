const text = '7'.repeat(200000);
for (;;) BigInt(text);
