const a = [];
for (let n = 0; n < 20; n++) a.push(a.slice());
return put(JSON.stringify(a).length);
