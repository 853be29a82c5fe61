async function f() {
  await f();
}
f();
return put(1);
