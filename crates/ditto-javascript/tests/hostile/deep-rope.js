let t = 'x';
for (let n = 0; n < 300000; n++) t = t + 'y';
return put(t.length);
