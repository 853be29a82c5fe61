return Ditto.buildExternalMsg({ get h() { for (;;); } }, 't', null, 'x/y');
