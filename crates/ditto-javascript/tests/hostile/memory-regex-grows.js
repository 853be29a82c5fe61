return put('a'.repeat(1 << 20).replace(/a/g, '$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&$&').length);
