try {
  Object.setPrototypeOf(Object.prototype, { evil: 1 });
} catch (e) {}
try {
  Object.setPrototypeOf(Array.prototype, null);
} catch (e) {}
return put(typeof {}.evil + [1].length);
