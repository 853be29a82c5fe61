return /(x+x+)+y/.test('x'.repeat(64)) ? null : put(1);
