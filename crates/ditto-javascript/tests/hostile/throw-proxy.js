throw new Proxy(new Error('x'), { get() { throw 'again'; } });
