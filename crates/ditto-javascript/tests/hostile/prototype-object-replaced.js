Object.prototype.toString = () => 'evil';
Object.prototype.hasOwnProperty = () => { throw 'evil'; };
Object.prototype.valueOf = null;
return put(String({}));
