const h = {};
for (let n = 0; n < 20000; n++) h['h' + n] = 'x';
return Ditto.buildExternalMsg(h, 't', null, 'x/y');
