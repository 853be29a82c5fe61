return put(/a*b/.test('a'.repeat(1 << 20)));
