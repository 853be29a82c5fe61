import('fs').then(() => 1);
return put('nothing is loaded');
