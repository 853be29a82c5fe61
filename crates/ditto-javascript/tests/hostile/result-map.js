return put(new Map([[1, 2]]));
