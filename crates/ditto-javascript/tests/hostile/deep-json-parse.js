return put(JSON.parse('['.repeat(200000) + ']'.repeat(200000)));
