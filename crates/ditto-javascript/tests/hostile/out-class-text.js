return Ditto.buildExternalMsg({}, new String('t'), null, 'x/y');
