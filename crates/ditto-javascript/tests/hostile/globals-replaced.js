JSON = { parse: () => 'evil', stringify: () => 'evil' };
Object = Array = String = Number = Math = Uint8Array = null;
undefined = 5;
return put(1);
