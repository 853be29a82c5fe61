const p = new Proxy({}, { getPrototypeOf: () => p });
Object.setPrototypeOf(p, null);
return put({} instanceof new Proxy(function () {}, { get: () => p }));
