return put('' + { toString() { for (;;); } });
