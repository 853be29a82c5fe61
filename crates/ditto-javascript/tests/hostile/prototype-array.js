Array.prototype.map = Array.prototype.join = Array.prototype.push = () => { throw 'evil'; };
Array.prototype[0] = 'evil';
Array.prototype.toJSON = () => 'evil';
Array.prototype[Symbol.iterator] = function* () { for (;;) yield 'evil'; };
return put([1]);
