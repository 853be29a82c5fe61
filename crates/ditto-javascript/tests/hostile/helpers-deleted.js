delete Ditto.buildDittoProtocolMsg;
delete globalThis.Ditto;
require = null;
return put(1);
