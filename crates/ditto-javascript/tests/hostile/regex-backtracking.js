return /^(a+)+$/.test('a'.repeat(40) + '!') ? null : put(1);
