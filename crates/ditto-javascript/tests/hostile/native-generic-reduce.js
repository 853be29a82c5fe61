return put(Array.prototype.reduceRight.call({ length: 2 ** 53 - 1 }, () => 1, 1));
