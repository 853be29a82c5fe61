return put('x'.repeat(4 << 20).split('').length);
