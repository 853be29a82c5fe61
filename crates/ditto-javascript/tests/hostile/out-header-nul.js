return Ditto.buildExternalMsg({ h: 'a\0b' }, 't', null, 'x/y');
