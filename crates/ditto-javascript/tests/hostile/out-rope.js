let t = 'x';
for (let n = 0; n < 100000; n++) t = 'y' + t;
return Ditto.buildExternalMsg({}, String(t.length), null, 'x/y');
