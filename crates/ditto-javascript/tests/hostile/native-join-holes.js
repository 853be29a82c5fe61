return put(Array(4294967295).join('').length);
