const d = new Date(NaN);
try {
  d.toISOString();
} catch (e) {}
return put([String(new Date(8.64e15 + 1)), new Date(-8.64e15).toISOString(), typeof new Date(0).toLocaleString('xx', { timeZone: 'no' }), typeof Intl].join());
