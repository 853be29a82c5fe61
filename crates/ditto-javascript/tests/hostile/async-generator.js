(async () => {
  async function* g() {
    for (;;) yield 1;
  }
  for await (const n of g());
})();
return put(1);
