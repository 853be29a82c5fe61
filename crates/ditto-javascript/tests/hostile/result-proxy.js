return new Proxy(put(1), {});
