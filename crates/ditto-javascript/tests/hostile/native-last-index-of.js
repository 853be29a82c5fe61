const hay = 'a'.repeat(1 << 20), needle = 'b' + 'a'.repeat(1 << 12);
for (;;) hay.lastIndexOf(needle);
