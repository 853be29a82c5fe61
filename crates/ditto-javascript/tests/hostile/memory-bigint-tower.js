return put(String(2n ** (2n ** 30n)).length);
