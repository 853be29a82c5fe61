return Ditto.buildExternalMsg({}, null, new DataView(new ArrayBuffer(4)), 'x/y');
