return Ditto.buildExternalMsg(new Proxy({}, { ownKeys: () => new Array(1000000).fill('x') }), 't', null, 'x/y');
