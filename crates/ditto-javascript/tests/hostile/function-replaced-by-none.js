const keep = mapToDittoProtocolMsg;
mapToDittoProtocolMsg = 5;
Promise.resolve().then(() => { mapToDittoProtocolMsg = keep; });
return put(1);
