return put(Array(1e9).join('x').length);
