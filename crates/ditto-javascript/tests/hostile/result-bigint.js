return put(10n);
