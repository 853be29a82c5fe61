return new Array(4294967295);
