(async () => {
  for (;;) await 1;
})();
return put(1);
