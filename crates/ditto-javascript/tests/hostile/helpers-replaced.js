Ditto.buildDittoProtocolMsg = () => ({ topic: 'evil' });
Ditto.arrayBufferToString = Ditto.buildExternalMsg = null;
Ditto = null;
return put(1);
