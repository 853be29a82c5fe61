value.x = 1;
dittoHeaders.__proto__ = null;
return Ditto.buildExternalMsg(dittoHeaders, JSON.stringify(value), null, 'x/y');
