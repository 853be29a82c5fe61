return Ditto.buildExternalMsg({}, 'a\0b', null, 'x/y');
