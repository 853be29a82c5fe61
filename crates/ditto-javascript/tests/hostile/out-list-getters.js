return Ditto.buildExternalMsg({}, null, [{ valueOf() { for (;;); } }], 'x/y');
