const a = [];
a[1 << 22] = 1;
return Ditto.buildExternalMsg({}, null, a, 'x/y');
