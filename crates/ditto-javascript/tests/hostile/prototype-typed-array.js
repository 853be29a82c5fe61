Object.getPrototypeOf(Uint8Array.prototype).subarray = () => 'evil';
Uint8Array.prototype.length = 5;
return put(Ditto.arrayBufferToString(new Uint8Array([97]).buffer));
