return put(Array.prototype.shift.call({ length: 2 ** 53 - 1 }));
