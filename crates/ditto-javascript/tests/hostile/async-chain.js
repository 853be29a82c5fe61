const go = () => {
  Promise.resolve().then(go);
};
go();
return put(1);
