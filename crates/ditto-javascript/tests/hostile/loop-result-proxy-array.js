return new Proxy([], { get: (t, key) => key === 'length' ? 4294967295 : put(1) });
