for (;;) { const a = []; for (let n = 0; n < 100000; n++) { const o = { a }; a.push(o); } }
