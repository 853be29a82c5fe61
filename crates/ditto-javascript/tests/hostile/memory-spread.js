return put(Math.max(...new Uint8Array(4 << 20)));
