const e = new Error('x');
for (const name of ['message', 'name', 'stack']) Object.defineProperty(e, name, { get() { throw e; } });
throw e;
