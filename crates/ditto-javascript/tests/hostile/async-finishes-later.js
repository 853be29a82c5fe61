const o = put(1);
Promise.resolve().then(() => { o.value = 'later'; });
return o;
