Function.prototype.call = Function.prototype.apply = Function.prototype.bind = () => { throw 'evil'; };
return put(1);
