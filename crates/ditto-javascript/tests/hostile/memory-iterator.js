return put([...{ [Symbol.iterator]() { return { next: () => ({ done: false }) }; } }]);
