return put(require({ toString() { for (;;); } }));
