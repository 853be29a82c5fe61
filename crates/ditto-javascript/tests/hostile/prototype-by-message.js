const merge = (to, from) => {
  for (const key of Object.keys(from)) {
    if (typeof from[key] === 'object') {
      to[key] = merge(to[key] || {}, from[key]);
    } else {
      to[key] = from[key];
    }
  }
  return to;
};
merge({}, JSON.parse('{"__proto__":{"isAdmin":true}}'));
return put({}.isAdmin === undefined ? 'clean' : 'evil');
