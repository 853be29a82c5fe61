const o = {};
for (let n = 0; n < 100000; n++) o['m' + n] = n;
for (;;) Object.keys(o);
