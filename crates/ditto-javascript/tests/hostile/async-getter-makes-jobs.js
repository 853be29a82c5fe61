return { get topic() { const go = () => { Promise.resolve().then(go); }; go(); return 'x'; } };
