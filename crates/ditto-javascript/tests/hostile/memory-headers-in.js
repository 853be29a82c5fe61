const many = {};
for (let n = 0; n < 1e7; n++) many['h' + n] = n;
return { topic: 'a/b/things/twin/commands/modify', path: '/', headers: many, value: 1 };
