return put(String(1n << (1n << 40n)).length);
