const o = {};
o.o = o;
return put(o);
