const a = new Float64Array(1 << 19).map((_, at) => (at * 7919) % 65521);
for (;;) a.toSorted();
