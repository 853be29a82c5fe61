throw { toString() { throw 'again'; }, get message() { throw 'again'; } };
