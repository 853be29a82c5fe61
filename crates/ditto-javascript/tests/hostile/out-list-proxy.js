return Ditto.buildExternalMsg({}, null, new Proxy([1], { get: (t, key) => key === 'length' ? { valueOf() { for (;;); } } : 1 }), 'x/y');
