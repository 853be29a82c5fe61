const all = [];
try {
  for (;;) all.push({});
} catch (e) {}
for (;;) {
  try {
    for (;;) all.push({});
  } catch (e) {}
}
