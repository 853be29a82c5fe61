const o = {};
for (let n = 0; n < 100000; n++) o['m' + n] = n;
for (let n = 0; ; n++) { delete o['m' + n % 100000]; o['m' + n % 100000] = 1; }
