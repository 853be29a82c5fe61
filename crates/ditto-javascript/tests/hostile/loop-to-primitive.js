return put('' + { [Symbol.toPrimitive]() { for (;;); } });
