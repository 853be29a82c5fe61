return { get topic() { for (;;); } };
