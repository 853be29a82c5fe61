return Ditto.buildExternalMsg({ h: '\ud800' }, 't', null, 'x/y');
