return new Proxy({}, { get() { for (;;); } });
