const all = [];
for (;;) all.push(new Function('return 1'));
