return put(require('fs'));
