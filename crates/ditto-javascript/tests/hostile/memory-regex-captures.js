return put(new RegExp('()'.repeat(100000)).exec('').length);
