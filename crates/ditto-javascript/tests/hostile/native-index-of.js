const hay = 'a'.repeat(4 << 20), needle = 'a'.repeat(2 << 20) + 'b';
for (;;) {
  try {
    hay.indexOf(needle);
  } catch (e) {}
}
