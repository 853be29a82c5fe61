function* numbers() {
  for (;;) yield 1;
}
let sum = 0;
for (const n of numbers()) sum += n;
return put(sum);
