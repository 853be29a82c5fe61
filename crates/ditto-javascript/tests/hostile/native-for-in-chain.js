let o = {};
for (let n = 0; n < 50000; n++) { o = Object.create(o); o['k' + n] = n; }
for (;;) for (const k in o) break;
