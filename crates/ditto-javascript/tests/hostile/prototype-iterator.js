Object.getPrototypeOf([][Symbol.iterator]()).next = () => ({ done: true });
return put([...[1, 2]].length);
