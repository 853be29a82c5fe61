String.prototype.split = String.prototype.charCodeAt = () => 'evil';
String.prototype.toJSON = () => 'evil';
return put('a,b'.split(',').length);
