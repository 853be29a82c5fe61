throw 'one\ntwo\r\nthree';
