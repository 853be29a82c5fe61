const a = Array.from({ length: 50000 }, (_, at) => (at * 7919) % 65521);
for (;;) a.slice().sort();
