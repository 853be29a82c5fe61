const all = [];
for (;;) {
  try {
    all.push(new Array(1000).fill(1));
  } catch (e) {}
}
