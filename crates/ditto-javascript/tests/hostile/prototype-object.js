Object.prototype.topic = 'evil';
Object.prototype.value = 'evil';
Object.prototype.toJSON = () => 'evil';
Object.prototype.headers = { evil: 1 };
return put(1);
