function f() {
  try {
    return f() + 1;
  } catch (e) {
    return f() + 1;
  }
}
return f();
