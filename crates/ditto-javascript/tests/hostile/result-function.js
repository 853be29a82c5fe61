return put;
