const hay = 'a'.repeat(1 << 20), needle = 'a'.repeat(1 << 12) + 'b';
for (;;) hay.split(needle);
