return (async () => put(1))();
