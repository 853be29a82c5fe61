const e = new Error('x');
Object.defineProperty(e, 'message', { get() { for (;;); } });
Object.defineProperty(e, 'name', { get() { for (;;); } });
Object.defineProperty(e, 'stack', { get() { for (;;); } });
throw e;
