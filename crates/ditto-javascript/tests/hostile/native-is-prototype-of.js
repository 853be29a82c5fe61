let o = {};
for (let n = 0; n < 100000; n++) o = Object.create(o);
const p = {};
for (;;) p.isPrototypeOf(o);
