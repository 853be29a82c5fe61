const e = new Error();
e.name = Symbol('x');
e.stack = { toString() { throw 1; } };
throw e;
