return Ditto.buildExternalMsg({ h: 5n }, 't', null, 'x/y');
