const o = {};
for (let n = 0; ; n++) o[Symbol(n)] = n;
