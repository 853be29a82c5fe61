for (;;) Promise.resolve(1).then(() => 1);
