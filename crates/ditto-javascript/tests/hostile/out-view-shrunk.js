const b = new ArrayBuffer(8, { maxByteLength: 16 });
const v = new Uint8Array(b, 4, 4);
b.resize(2);
return Ditto.buildExternalMsg({}, null, v, 'x/y');
