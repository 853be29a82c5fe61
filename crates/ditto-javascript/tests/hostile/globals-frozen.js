Object.freeze(globalThis);
return put(1);
