return put('x'.padEnd(1 << 29, 'ab').length);
