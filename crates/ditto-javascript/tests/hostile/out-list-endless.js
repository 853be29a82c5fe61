return Ditto.buildExternalMsg({}, null, new Array(4294967295), 'x/y');
