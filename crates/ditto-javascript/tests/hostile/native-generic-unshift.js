return put(Array.prototype.unshift.call({ length: 2 ** 52 }, 1));
