return put([typeof setTimeout, typeof setInterval, typeof queueMicrotask, typeof std, typeof os, typeof WebAssembly].join());
