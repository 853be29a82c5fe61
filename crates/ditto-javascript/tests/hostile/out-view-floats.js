return Ditto.buildExternalMsg({}, null, new Float64Array([1.9, -1, NaN, 256]), 'x/y');
