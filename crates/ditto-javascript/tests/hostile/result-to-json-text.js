return { toJSON: () => 'text' };
