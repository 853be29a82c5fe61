return put([typeof FinalizationRegistry, typeof WeakRef].join());
