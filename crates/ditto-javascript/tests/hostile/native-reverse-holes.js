return put(Array(4294967295).reverse().length);
