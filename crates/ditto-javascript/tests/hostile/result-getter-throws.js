return { get topic() { throw null; } };
