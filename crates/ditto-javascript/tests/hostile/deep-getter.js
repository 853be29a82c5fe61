const o = { get x() { return this.x; } };
return put(o.x);
