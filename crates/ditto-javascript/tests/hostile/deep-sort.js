const a = [2, 1];
function f() {
  a.slice().sort(f);
  return 0;
}
f();
