return Promise.resolve(Ditto.buildExternalMsg({}, 't', null, 'x/y'));
