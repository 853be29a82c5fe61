let n = 0;
for (const v of Array.prototype.values.call({ length: 2 ** 53 - 1 })) n++;
return put(n);
