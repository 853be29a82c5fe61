return put('\ud800');
