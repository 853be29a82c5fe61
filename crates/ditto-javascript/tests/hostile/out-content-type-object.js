return Ditto.buildExternalMsg({}, 't', null, { toString() { for (;;); } });
