return put('x'.repeat((1 << 30) - 2).length);
