Promise.resolve().then(() => { throw null; });
return put('done');
