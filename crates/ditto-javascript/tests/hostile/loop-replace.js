return put('aaa'.replace(/a/g, () => { for (;;); }));
