throw '\udc00';
