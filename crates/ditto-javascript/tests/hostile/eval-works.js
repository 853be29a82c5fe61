return put(eval('1 + 1') + new Function('a', 'return a')(1));
