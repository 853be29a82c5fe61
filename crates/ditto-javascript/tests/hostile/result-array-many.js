return new Array(999).fill(put(1));
