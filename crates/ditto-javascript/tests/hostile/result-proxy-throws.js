return new Proxy({}, { get() { throw 'no'; }, ownKeys() { throw 'no'; }, has() { throw 'no'; } });
