return Ditto.buildExternalMsg({}, 'x'.repeat(7 << 20), null, 'x/y');
