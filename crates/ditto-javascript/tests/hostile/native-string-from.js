const all = new Array(60000).fill(97);
for (;;) String.fromCharCode.apply(null, all);
