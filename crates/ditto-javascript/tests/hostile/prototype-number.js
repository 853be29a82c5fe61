Number.prototype.toJSON = () => 'evil';
Number.prototype.toString = () => 'evil';
return put(1);
