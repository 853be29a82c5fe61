const keys = [];
for (let n = 0; n < 100000; n++) keys.push([n * 65536, n]);
for (;;) new Map(keys);
