let h = 1;
for (let n = 0; n < 40; n++) h = { a: h, b: h };
return Ditto.buildExternalMsg({ h }, 't', null, 'x/y');
