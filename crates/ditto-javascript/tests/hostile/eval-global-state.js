(0, eval)('var left = 1');
return put(typeof left);
