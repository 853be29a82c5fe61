let h = [];
for (let n = 0; n < 100000; n++) h = [h];
return Ditto.buildExternalMsg({ h }, 't', null, 'x/y');
