let a = [];
for (let n = 0; n < 200000; n++) a = [a];
return put(String(a));
