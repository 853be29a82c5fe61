Promise.prototype.then = () => { for (;;); };
Promise.resolve = () => 'evil';
(async () => { await 1; })();
return put(1);
