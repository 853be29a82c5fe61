try {
  Object.setPrototypeOf(globalThis, new Proxy({}, { has: () => true, get() { throw 'evil'; } }));
} catch (e) {}
return put(1);
