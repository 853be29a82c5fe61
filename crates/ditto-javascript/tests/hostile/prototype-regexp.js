RegExp.prototype.exec = () => { throw 'evil'; };
RegExp.prototype[Symbol.split] = () => 'evil';
return put('a-b'.split(/-/).length);
