return put('x'.repeat(7 << 20));
