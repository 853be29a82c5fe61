for (;;) { const m = new Map(); for (let n = 0; n < 1000; n++) m.set({}, n); m.clear(); }
