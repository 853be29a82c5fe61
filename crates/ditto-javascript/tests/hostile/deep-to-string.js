const o = { toString() { return '' + o; } };
return put('' + o);
