const all = [];
for (let n = 0; ; n++) all.push('text ' + n);
