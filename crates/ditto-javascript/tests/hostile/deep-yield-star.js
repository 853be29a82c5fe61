function* g() {
  yield* g();
}
return put([...g()]);
