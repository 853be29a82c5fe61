const name = 'x'.repeat(7 << 20), o = {};
for (;;) o[name];
