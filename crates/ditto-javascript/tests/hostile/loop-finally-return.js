function f() {
  try {
    for (;;);
  } finally {
    return f();
  }
}
return f();
