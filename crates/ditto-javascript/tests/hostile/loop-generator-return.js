function* never() {
  try {
    yield 1;
  } finally {
    for (;;);
  }
}
for (const n of never()) break;
return put(1);
