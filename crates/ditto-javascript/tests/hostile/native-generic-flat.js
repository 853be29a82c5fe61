return put([{ length: 1 }].concat(Array(4294967295)).flat().length);
