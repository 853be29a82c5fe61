const b = new ArrayBuffer(8);
b.transfer();
return Ditto.buildExternalMsg({}, null, b, 'x/y');
