return put('a\0b');
