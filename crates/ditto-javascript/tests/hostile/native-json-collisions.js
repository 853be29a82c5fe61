const o = {};
for (let n = 0; n < 100000; n++) o['k' + n * 65536] = n;
const text = JSON.stringify(o);
for (;;) JSON.parse(text);
