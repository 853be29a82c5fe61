for (;;) 'x'.repeat(1 << 22);
