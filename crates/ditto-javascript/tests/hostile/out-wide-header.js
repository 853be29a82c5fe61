return Ditto.buildExternalMsg({ h: new Array(4294967295) }, 't', null, 'x/y');
