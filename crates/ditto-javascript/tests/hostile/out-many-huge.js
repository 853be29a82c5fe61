return new Array(10).fill(Ditto.buildExternalMsg({}, 'x'.repeat(1 << 20), null, 'x/y'));
