return Ditto.buildExternalMsg({}, 'a\ud800b', null, 'x/y');
