const h = {};
h.h = h;
return Ditto.buildExternalMsg({ h }, 't', null, 'x/y');
