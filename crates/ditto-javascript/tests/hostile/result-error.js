return new Error('x');
