const a = [];
a[2000000000] = put(1);
return a;
