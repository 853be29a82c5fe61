for (const it of [Object.prototype, Array.prototype, String.prototype, JSON, Math, Ditto, globalThis.JSON]) {
  try {
    Object.defineProperty(it, 'evil', { get() { return 1; } });
    return put('could');
  } catch (e) {}
}
return put('could not');
