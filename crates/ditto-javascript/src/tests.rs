//! What scripts answer, as text.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ditto_mapping::{
    Engines, ExternalMessage, LaneMappers, MapperList, MappingLimits, Mappings, Outcome, OutgoingSignal,
    Payload,
};
use ditto_placeholder::{Placeholder, Resolve};
use ditto_protocol::{Limits, Signal, Written};
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{JavaScriptFactory, ScriptLimits};

fn list(options: Value, limits: ScriptLimits) -> Result<MapperList, String> {
    let engines = Engines::default().with(Arc::new(JavaScriptFactory::new(limits)));
    let definitions = json!({ "js": { "mappingEngine": "JavaScript", "options": options } });
    let mappings = Mappings::read(Some(&definitions), &engines);
    mappings.list(&["js"], "").map_err(|_| {
        mappings.findings(|_| true).iter().map(|finding| format!("{} {finding}\n", finding.code)).collect()
    })
}

struct Nothing;

impl Resolve for Nothing {
    fn resolve(&self, _: &Placeholder, _: &mut String) -> Option<()> {
        None
    }
}

/// A lane with the mapper of some scripts.
struct Scripted {
    list: MapperList,
    lane: LaneMappers,
}

impl Scripted {
    fn new(options: Value) -> Self {
        Self { list: list(options, ScriptLimits::default()).unwrap(), lane: LaneMappers::default() }
    }

    fn incoming(&mut self, message: &ExternalMessage) -> String {
        let mut text = String::new();
        self.lane.incoming(&self.list, message, "c", |_, outcome| {
            let _ = match outcome {
                Outcome::Mapped(signal) => {
                    writeln!(text, "{} {} {}", signal.topic(), signal.path(), signal.value().unwrap_or("-"))
                }
                Outcome::Dropped(_) => writeln!(text, "dropped"),
                Outcome::Failed(error) => {
                    writeln!(text, "{} {}: {}", error.status(), error.code(), error.reason())
                }
            };
        });
        text
    }

    fn outgoing(&mut self, signal: &Value) -> String {
        let signal = Signal::decode(signal.to_string().into(), &Limits::default()).unwrap();
        let mut text = String::new();
        self.lane.outgoing(
            &self.list,
            &OutgoingSignal::new(&signal, Written::default(), &Nothing),
            |_, outcome| {
                let _ = match outcome {
                    Outcome::Mapped(message) => {
                        let mut headers: Vec<_> =
                            message.headers().map(|(name, value)| format!("{name}={value}")).collect();
                        headers.sort();
                        let payload = match message.payload() {
                            Payload::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                            Payload::Bytes(bytes) => format!("{:?}", &bytes[..]),
                            Payload::Empty => "-".to_owned(),
                        };
                        writeln!(text, "[{}] {payload}", headers.join(","))
                    }
                    Outcome::Dropped(_) => writeln!(text, "dropped"),
                    Outcome::Failed(error) => {
                        writeln!(text, "{} {}: {}", error.status(), error.code(), error.reason())
                    }
                };
            },
        );
        text
    }
}

fn record(payload: &str) -> ExternalMessage {
    ExternalMessage::of_record(
        vec![("X-Own".to_owned(), "v".to_owned())],
        Some(Bytes::from(payload.to_owned())),
    )
}

/// What `body`, in the function for incoming messages, makes of a payload. `put(value)` is a command with that value.
#[track_caller]
fn check_in(body: &str, payload: &str, expected: Expect) {
    let script = format!(
        "function put(v) {{ return Ditto.buildDittoProtocolMsg('a','b','things','twin','commands','modify','/attributes/v',{{}},v); }}
        function mapToDittoProtocolMsg(headers,textPayload,bytePayload,contentType) {{ {body} }}"
    );
    expected.assert_eq(&Scripted::new(json!({ "incomingScript": script })).incoming(&record(payload)));
}

/// What `body`, in the function for signals, makes of an event.
#[track_caller]
fn check_out(body: &str, expected: Expect) {
    let script = format!(
        "function mapFromDittoProtocolMsg(namespace,name,group,channel,criterion,action,path,dittoHeaders,value,status,extra) {{ {body} }}"
    );
    expected.assert_eq(&Scripted::new(json!({ "outgoingScript": script })).outgoing(&event()));
}

fn event() -> Value {
    json!({ "topic": "a/b/things/twin/events/modified", "path": "/attributes/v", "value": 7, "revision": 3,
        "headers": { "correlation-id": "c", "X-App": "1", "requested-acks": ["c:lbl"] } })
}

#[test]
fn messages_come_in() {
    check_in(
        "return put(JSON.parse(textPayload).v);",
        r#"{"v":[1.0,1e21,-0,9007199254740993,null]}"#,
        expect![[r#"
            a/b/things/twin/commands/modify /attributes/v [1,1e+21,0,9007199254740992,null]
        "#]],
    );
    check_in(
        "return put(headers['X-Own'] + headers['x-own'] + contentType);",
        "",
        expect![[r#"
        a/b/things/twin/commands/modify /attributes/v "vundefinednull"
    "#]],
    );
    check_in(
        "return put(new Uint8Array(bytePayload)[1] + Ditto.arrayBufferToString(bytePayload));",
        "\u{e9}",
        expect![[r#"
            a/b/things/twin/commands/modify /attributes/v "169Ã©"
        "#]],
    );
    check_in(
        "return put([NaN, undefined, new Uint8Array(Ditto.stringToArrayBuffer('\u{159}a'))]);",
        "",
        expect![[r#"
            a/b/things/twin/commands/modify /attributes/v [null,null,{"0":89,"1":97}]
        "#]],
    );
    check_in(
        "return [put(1), put(2)];",
        "",
        expect![[r#"
        a/b/things/twin/commands/modify /attributes/v 1
        a/b/things/twin/commands/modify /attributes/v 2
    "#]],
    );
    check_in("return null;", "", expect![["dropped\n"]]);
    check_in("return [];", "", expect![["dropped\n"]]);
}

#[test]
fn what_is_no_message_fails() {
    for body in [
        "return;",
        "return 5;",
        "return 'x';",
        "return [null, put(1)];",
        "return { topic: 'bad' };",
        "return [put(1), {}];",
    ] {
        let script = format!(
            "function put(v) {{ return Ditto.buildDittoProtocolMsg('a','b','things','twin','commands','modify','/attributes/v',{{}},v); }} function mapToDittoProtocolMsg() {{ {body} }}"
        );
        let text = Scripted::new(json!({ "incomingScript": script })).incoming(&record(""));
        assert!(
            text.starts_with(
                "400 connectivity:message.mapping.failed: what the script returned is no message"
            ),
            "{body}: {text}"
        );
    }
    check_in(
        "throw 'plain';",
        "",
        expect![[r#"
        400 connectivity:message.mapping.failed: the script failed: it threw plain
    "#]],
    );
    check_in(
        "throw null;",
        "",
        expect![[r#"
        400 connectivity:message.mapping.failed: the script failed: it threw null
    "#]],
    );
    check_in(
        "\n  nobody.knows();",
        "",
        expect![[r#"
        400 connectivity:message.mapping.failed: the script failed: ReferenceError: nobody is not defined at mapToDittoProtocolMsg (incomingScript:3:3)
    "#]],
    );
    check_in(
        "setTimeout(() => 1, 1);",
        "",
        expect![[r#"
        400 connectivity:message.mapping.failed: the script failed: ReferenceError: setTimeout is not defined at mapToDittoProtocolMsg (incomingScript:2:87)
    "#]],
    );
    check_in(
        "require('fs');",
        "",
        expect![[r#"
            400 connectivity:message.mapping.failed: the script failed: Error: there is no module fs at require (prelude:33:43)
        "#]],
    );
    check_in(
        "Ditto.asByteBuffer(bytePayload);",
        "",
        expect![[r#"
            400 connectivity:message.mapping.failed: the script failed: ReferenceError: dcodeIO is not defined at asByteBuffer (prelude:28:12)
        "#]],
    );
}

#[test]
fn without_a_function_what_is_built_in_stays() {
    let mut scripted = Scripted::new(json!({ "incomingScript": "var n = 1;", "outgoingScript": "n++;" }));
    let command = r#"{"topic":"a/b/things/twin/commands/modify","path":"/attributes/x","value":1}"#;
    let of = |content_type: &str| {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        ExternalMessage::of_record(headers, Some(command.into()))
    };
    assert_eq!(scripted.incoming(&of("a/b")), "dropped\n");
    for content_type in ["application/vnd.eclipse.ditto+json", "application/octet-stream"] {
        assert_eq!(scripted.incoming(&of(content_type)), "a/b/things/twin/commands/modify /attributes/x 1\n");
    }
    expect![[r#"
        [X-App=1,content-type=application/vnd.eclipse.ditto+json,correlation-id=c,entity-revision=3,requested-acks=["c:lbl"],response-required=false] {"topic":"a/b/things/twin/events/modified","path":"/attributes/v","headers":{"correlation-id":"c","X-App":"1","requested-acks":["c:lbl"],"response-required":false,"entity-revision":3,"content-type":"application/json"},"value":7}
    "#]].assert_eq(&scripted.outgoing(&event()));
    let mut empty = Scripted::new(json!({}));
    assert_eq!(empty.incoming(&of("a/b")), "a/b/things/twin/commands/modify /attributes/x 1\n");
    assert!(empty.incoming(&record("5")).starts_with("400 json.format.invalid"));
    assert!(empty.incoming(&record("{")).starts_with("400 json.invalid"));
    assert_eq!(empty.incoming(&ExternalMessage::of_record(Vec::new(), None)), "dropped\n");
    expect![[r#"
        [content-type=application/vnd.eclipse.ditto+json,correlation-id=c,entity-revision=3,requested-acks=["c:lbl"],response-required=false,x-app=1] {"topic":"a/b/things/twin/events/modified","path":"/attributes/v","value":7,"revision":3,"headers":{"correlation-id":"c","X-App":"1","requested-acks":["c:lbl"],"response-required":false,"entity-revision":3,"content-type":"application/json"}}
    "#]].assert_eq(&empty.outgoing(&event()));
}

#[test]
fn signals_go_out() {
    check_out(
        "return Ditto.buildExternalMsg({h: 'a'}, JSON.stringify([namespace,name,group,channel,criterion,action,path,value,typeof status,typeof extra]), null, 'x/y');",
        expect![[r#"
            [content-type=x/y,h=a] ["a","b","things","twin","events","modified","/attributes/v",7,"undefined","undefined"]
        "#]],
    );
    check_out(
        "return [1, 2].map(n => Ditto.buildExternalMsg({}, 't' + n, undefined, 'x/y'));",
        expect![[r#"
            [content-type=x/y] t1
            [content-type=x/y] t2
        "#]],
    );
    check_out("return null;", expect![["dropped\n"]]);
    check_out(
        "return { headers: dittoHeaders, bytePayload: [0, 255, 256, -1], contentType: 'x/y' };",
        expect![[r#"
            [X-App=1,content-type=x/y,correlation-id=c,entity-revision=3,requested-acks=["c:lbl"],response-required=false] [0, 255, 0, 255]
        "#]],
    );
    check_out(
        "return Ditto.buildExternalMsg(null, 'text', Ditto.stringToArrayBuffer('\u{20ac}a'), 'x/y');",
        expect![[r#"
            [content-type=x/y] [172, 97]
        "#]],
    );
    check_out(
        "return { bytePayload: new Uint16Array([258]), contentType: 'x/y' };",
        expect![[r#"
            [content-type=x/y] [2]
        "#]],
    );
    check_out(
        "return Ditto.buildExternalMsg({s:'x',n:1,f:1.5,b:true,nul:null,und:undefined,o:{a:1},l:['a',2,'3',true]}, 't', null, 'x/y');",
        expect![[r#"
            [b=true,content-type=x/y,f=1.5,l=["a",2.0,3,true],n=1,nul=null,o={"a":1},s=x,und=null] t
        "#]],
    );
    check_out(
        "return Ditto.buildExternalMsg({}, 't');",
        expect![[r#"
            [] t
        "#]],
    );
}

#[test]
fn what_is_no_external_message_fails() {
    for body in [
        "return;",
        "return 5;",
        "return [null];",
        "return {};",
        "return Ditto.buildExternalMsg({}, null, null, 'x/y');",
        "return Ditto.buildExternalMsg({}, 5, null, 'x/y');",
        "return Ditto.buildExternalMsg({}, 't', null, null);",
        "return Ditto.buildExternalMsg({}, 't', null, 5);",
        "return { textPayload: 't' };",
    ] {
        let script = format!("function mapFromDittoProtocolMsg() {{ {body} }}");
        let text = Scripted::new(json!({ "outgoingScript": script })).outgoing(&event());
        assert!(text.starts_with("400 connectivity:message.mapping.failed"), "{body}: {text}");
    }
}

#[test]
fn scripts_keep_their_state_until_they_meet_a_limit() {
    let script = "var n = 0; function mapToDittoProtocolMsg(h, text) { n++; if (text === 'loop') for (;;); return Ditto.buildDittoProtocolMsg('a','b','things','twin','commands','modify','/attributes/v',{},n); }";
    let limits = ScriptLimits { max_time: Duration::from_millis(50), ..ScriptLimits::default() };
    let mut scripted = Scripted {
        list: list(json!({ "incomingScript": script }), limits).unwrap(),
        lane: LaneMappers::new(MappingLimits::default()),
    };
    let value = |text: String| text.trim_end().rsplit(' ').next().map(ToOwned::to_owned);
    assert_eq!(value(scripted.incoming(&record("x"))).as_deref(), Some("1"));
    assert_eq!(value(scripted.incoming(&record("x"))).as_deref(), Some("2"));
    assert!(scripted.incoming(&record("loop")).ends_with("the script failed: it took longer than 50 ms\n"));
    assert_eq!(value(scripted.incoming(&record("x"))).as_deref(), Some("1"));
}

#[test]
fn libraries_are_there_for_whoever_asks() {
    let body = "const b = Ditto.asByteBuffer(bytePayload); return Ditto.buildDittoProtocolMsg('a','b','things','twin','commands','modify','/attributes/v',{},
        [b.readUint16(), b.readUTF8String(2), b.remaining(), typeof dcodeIO.Long, dcodeIO.Long ? b.readUint64().toString() : null, typeof Long, new dcodeIO.ByteBuffer(4).writeInt16(-2).flip().toHex()]);";
    let script =
        format!("function mapToDittoProtocolMsg(headers,textPayload,bytePayload,contentType) {{ {body} }}");
    let check = |options: Value, expected: Expect| {
        let mut options = options;
        options["incomingScript"] = script.clone().into();
        let payload = Bytes::from_static(b"\x01\x02hi\xff\xff\xff\xff\xff\xff\xff\xfe");
        expected.assert_eq(
            &Scripted::new(options).incoming(&ExternalMessage::of_record(Vec::new(), Some(payload))),
        );
    };
    check(
        json!({ "loadBytebufferJS": "true", "loadLongJS": true }),
        expect![[r#"
        a/b/things/twin/commands/modify /attributes/v [258,"hi",8,"function","18446744073709551614","undefined","fffe"]
    "#]],
    );
    check(
        json!({ "loadBytebufferJS": true }),
        expect![[r#"
        a/b/things/twin/commands/modify /attributes/v [258,"hi",8,"undefined",null,"undefined","fffe"]
    "#]],
    );
    check(
        json!({ "loadLongJS": "TRUE" }),
        expect![[r#"
        400 connectivity:message.mapping.failed: the script failed: TypeError: cannot read property 'wrap' of undefined at asByteBuffer (prelude:28:12)
    "#]],
    );
}

#[test]
fn libraries_are_those_that_were_published() {
    let table = include_str!("../js/README.md");
    for library in [include_str!("../js/long.min.js"), include_str!("../js/bytebuffer.min.js")] {
        let sum: String = Sha256::digest(library).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(table.contains(&sum), "{sum}");
    }
}

#[test]
fn as_many_scopes_are_kept_as_there_may_be() {
    let factory = JavaScriptFactory::new(ScriptLimits { max_scopes: 2, ..ScriptLimits::default() });
    let engines = Engines::default().with(Arc::new(factory.clone()));
    let script = "var n = 0; function mapToDittoProtocolMsg() { n++; return Ditto.buildDittoProtocolMsg('a','b','things','twin','commands','modify','/attributes/v',{},n); }";
    let definition = json!({ "mappingEngine": "JavaScript", "options": { "incomingScript": script } });
    let definitions = json!({ "a": definition, "b": definition, "c": definition });
    let mappings = Mappings::read(Some(&definitions), &engines);
    let mut lane = LaneMappers::default();
    let mut count = |name: &str| {
        let list = mappings.list(&[name], "").unwrap();
        let mut counts = Vec::new();
        lane.incoming(&list, &record(""), "c", |_, outcome| match outcome {
            Outcome::Mapped(signal) => counts.push(signal.value().unwrap_or_default().to_owned()),
            other => panic!("{other:?}"),
        });
        counts.join(",")
    };
    assert_eq!((count("a").as_str(), count("b").as_str(), count("a").as_str()), ("1", "1", "2"));
    // The third takes the place of `b`, which was used longest ago; `b` then that of `a`.
    assert_eq!((count("c").as_str(), count("b").as_str(), count("c").as_str()), ("1", "1", "2"));
    assert_eq!(count("a"), "1");
    let usage = factory.usage();
    assert_eq!((usage.scopes, usage.made, usage.evicted), (2, 3 + 5, 3));
    assert!(usage.bytes > 0);
}

#[track_caller]
fn check_refusal(options: Value, expected: Expect) {
    expected.assert_eq(&list(options, ScriptLimits::default()).err().unwrap_or_default());
}

#[test]
fn mistakes_are_found_when_the_definition_is_read() {
    check_refusal(
        json!({ "incomingScript": "function f() {\n  retrun 1;\n}" }),
        expect![[r#"
        connectivity:message.mapper.config.failed error at /mappingDefinitions/js/options/incomingScript: SyntaxError: expecting ';' at incomingScript:2:10; mend the script
    "#]],
    );
    check_refusal(
        json!({ "incomingScript": "nobody.knows();", "outgoingScript": "throw 'no';" }),
        expect![[r#"
            connectivity:message.mapper.config.failed error at /mappingDefinitions/js/options/incomingScript: ReferenceError: nobody is not defined at <eval> (incomingScript:1:1); mend the script
        "#]],
    );
    check_refusal(
        json!({ "outgoingScript": "const mapFromDittoProtocolMsg = () => null;" }),
        expect![[r#"
            connectivity:message.mapper.config.failed error at /mappingDefinitions/js/options/outgoingScript: SyntaxError: redeclaration of 'mapFromDittoProtocolMsg' at <eval> (outgoingScript:1:1); mend the script
        "#]],
    );
    check_refusal(
        json!({ "incomingScript": "let x;", "outgoingScript": "let x;" }),
        expect![[r#"
            connectivity:message.mapper.config.failed error at /mappingDefinitions/js/options/outgoingScript: SyntaxError: redeclaration of 'x' at <eval> (outgoingScript:1:1); mend the script
        "#]],
    );
    check_refusal(
        json!({ "incomingScript": "for (;;);" }),
        expect![[r#"
        connectivity:message.mapper.config.failed error at /mappingDefinitions/js/options/incomingScript: it took longer than 500 ms; mend the script
    "#]],
    );
    check_refusal(
        json!({ "incomingScript": "/*".to_owned() + &"a".repeat(50_000) + "*/" }),
        expect![[r#"
            connectivity:message.mapper.config.failed error at /mappingDefinitions/js/options/incomingScript: the script has 50004 characters, more than 50000; shorten it
        "#]],
    );
    check_refusal(
        json!({ "loadLongJS": true, "incomingScript": "/*".to_owned() + &"a".repeat(49_996) + "*/" }),
        expect![[r#""#]],
    );
}

#[test]
fn globals() {
    check_in(
        "return put([typeof require,typeof load,typeof print,typeof quit,typeof XMLHttpRequest,typeof importPackage,typeof JSON,typeof Date,typeof Uint8Array,typeof Map,typeof Promise,typeof Symbol,typeof BigInt,typeof dcodeIO,typeof Long,typeof console,typeof globalThis,typeof TextDecoder,typeof atob].join());",
        "",
        expect![[r#"
            a/b/things/twin/commands/modify /attributes/v "function,undefined,undefined,undefined,undefined,undefined,object,function,function,function,function,function,function,undefined,undefined,undefined,object,undefined,undefined"
        "#]],
    );
}
