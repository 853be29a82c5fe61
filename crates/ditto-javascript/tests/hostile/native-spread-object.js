const o = {};
for (let n = 0; n < 20000; n++) o['m' + n] = n;
for (;;) ({ ...o });
