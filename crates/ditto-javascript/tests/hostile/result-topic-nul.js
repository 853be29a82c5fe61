const o = put(1);
o.topic = 'a\0/b/things/twin/commands/modify';
return o;
