for (;;) {
  try {
    3n ** 600000n;
  } catch (e) {}
}
