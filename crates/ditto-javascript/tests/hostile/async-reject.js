Promise.reject(new Error('nobody looks'));
return put('done');
