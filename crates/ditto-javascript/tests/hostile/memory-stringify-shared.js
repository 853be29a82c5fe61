let o = 'x';
for (let n = 0; n < 40; n++) o = [o, o];
return put(o);
