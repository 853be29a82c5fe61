return put(new ArrayBuffer(1 << 30).byteLength);
