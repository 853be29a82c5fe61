for (;;) {
  try {
    /^(a+)+$/.test('a'.repeat(40) + '!');
  } catch (e) {}
}
