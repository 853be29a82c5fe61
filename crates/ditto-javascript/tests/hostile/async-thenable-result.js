return { then(f) { f(1); } };
