return Ditto.buildExternalMsg({ h: Object.assign(() => 1, { toJSON() { for (;;); } }) }, 't', null, 'x/y');
