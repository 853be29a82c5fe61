return put(JSON.parse('[1,2,3]', function (k, v) { for (;;); }));
