throw 'x'.repeat(1 << 20);
