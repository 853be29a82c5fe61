const a = [];
a[4000000000] = 1;
return put(a);
