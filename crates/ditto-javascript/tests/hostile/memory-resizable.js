const b = new ArrayBuffer(8, { maxByteLength: 2 ** 40 });
b.resize(2 ** 39);
return put(b.byteLength);
