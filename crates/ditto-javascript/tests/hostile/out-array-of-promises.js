return [Promise.resolve(1)];
