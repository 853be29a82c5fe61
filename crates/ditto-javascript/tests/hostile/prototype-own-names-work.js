const o = {};
o.toString = () => 'own';
o.constructor = 5;
o.valueOf = 6;
o.hasOwnProperty = 7;
const e = new Error();
e.name = 'Own';
e.message = 'text';
function F() {}
F.prototype = Object.create(Error.prototype);
F.prototype.name = 'F';
return put([String({ toString: o.toString }), Object.keys(o), String(e), new F().name].join('|'));
