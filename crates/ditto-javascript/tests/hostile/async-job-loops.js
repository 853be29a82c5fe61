Promise.resolve().then(() => { for (;;); });
return put(1);
