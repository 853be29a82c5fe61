//! `explain`: what becomes of signals, and why.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test: a panic is its answer")]

use ditto_tests::service::Setup;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

fn connection(topics: &[&str]) -> Value {
    let target = |topic: &&str| json!({"address": "out/{{ thing:name }}", "topics": [topic], "authorizationContext": ["integ:reader"]});
    json!({
        "id": "press", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092"},
        "targets": topics.iter().map(target).collect::<Value>(),
    })
}

fn setup() -> anyhow::Result<Setup> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let topics = ["_/_/things/twin/events?filter=eq(attributes/site,'north')", "_/_/things/twin/events"];
    setup.write("press.json", connection(&topics).to_string())?;
    setup.write("wrong.json", connection(&["_/_/things/twin/evnts"]).to_string())?;
    let mut scripts = connection(&["_/_/things/twin/events"; 3]);
    for (n, body) in [
        "return null;",
        "throw new Error('no ' + value.rpm);",
        "return Ditto.buildExternalMsg({}, 'x', null, null);",
    ]
    .iter()
    .enumerate()
    {
        let name = format!("script-{n}");
        scripts["targets"][n]["payloadMapping"] = json!([name]);
        scripts["mappingDefinitions"][name] = json!({"mappingEngine": "JavaScript", "options": {
            "outgoingScript": format!("function mapFromDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value) {{\n  {body}\n}}"),
        }});
    }
    setup.write("scripts.json", scripts.to_string())?;
    scripts["mappingDefinitions"]["script-0"]["options"]["outgoingScript"] = json!("function (");
    setup.write("broken.json", scripts.to_string())?;
    let event = json!({
        "topic": "org.acme/press-4/things/twin/events/modified", "headers": {}, "revision": 42,
        "path": "/attributes", "value": {"rpm": 900},
    });
    let mut read = event.clone();
    read["headers"]["ditto-read-subjects"] = json!(["integ:other"]);
    setup.write("event.json", event.to_string())?;
    setup.write("feed.ndjson", format!("{event}\n{read}\nnonsense\n"))?;
    let policy =
        |entries: Value| json!({"policyId": "org.acme:p", "imports": {"org.acme:i": {}}, "entries": entries});
    setup.write("policy.json", policy(json!({})).to_string())?;
    let readers = json!({"readers": {
        "subjects": {"integ:reader": {"type": "t"}},
        "resources": {"thing:/": {"grant": ["READ"], "revoke": []}},
    }});
    setup.write("imported.json", json!({"policyId": "org.acme:i", "entries": readers}).to_string())?;
    Ok(setup)
}

/// What it prints, on stdout and then on stderr.
#[track_caller]
fn check(args: &[&str], code: u8, expected: Expect) {
    let ended = setup().and_then(|setup| setup.execute(&[&["explain"], args].concat())).unwrap();
    ended.expect_code(code).unwrap();
    expected.assert_eq(&(ended.stdout + &ended.stderr));
}

#[test]
fn each_target_with_its_cause_and_remedy() {
    let policies = ["--policy", "policy.json", "--policy", "imported.json"];
    check(
        &[&["--connection", "press.json", "--signal", "event.json"], policies.as_slice()].concat(),
        0,
        expect![[r#"
            event.json:1: org.acme/press-4/things/twin/events/modified /attributes
              press target 0 → out/{{ thing:name }}: dropped (filtered)
                because  its filter does not hold: the signal has no `attributes/site`, and the topic has no extra fields
                remedy   if it is a field of the thing, add `&extraFields=attributes/site` to the topic
                + origin     it does not come from this connection
                + kind       _/_/things/twin/events
                + namespace  org.acme
                + subjects   by its policy the target's subjects may read thing:/attributes
                    entry `imported-org.acme:i-readers` grants READ on thing:/ to `integ:reader`
                - topic      its filter does not hold: the signal has no `attributes/site`, and the topic has no extra fields
                    _/_/things/twin/events?filter=eq(attributes/site,'north')
                      false   eq(attributes/site,"north")
              press target 1 → out/{{ thing:name }}: published
                + origin     it does not come from this connection
                + kind       _/_/things/twin/events
                + namespace  org.acme
                + subjects   by its policy the target's subjects may read thing:/attributes
                    entry `imported-org.acme:i-readers` grants READ on thing:/ to `integ:reader`
                + address    out/{{ thing:name }}
                    {{ thing:name }} = press-4
                = topic     out
                  key       press-4
                  header    content-type: application/vnd.eclipse.ditto+json
                  header    ditto-connection-id: press
                  payload   {"topic":"org.acme/press-4/things/twin/events/modified","headers":{"response-required":false,"entity-revision":42,"content-type":"application/json"},"revision":42,"path":"/attributes","value":{"rpm":900}}
        "#]],
    );
}

#[test]
fn one_object_for_each_signal() {
    let args = [
        "explain",
        "--connection",
        "press.json",
        "--signal",
        "feed.ndjson",
        "--target",
        "1",
        "--format",
        "json",
    ];
    let ended = setup().and_then(|setup| setup.execute(&args)).unwrap();
    ended.expect_code(65).unwrap();
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [without, by_header, nonsense] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!(without["targets"][0]["outcome"], "unknown");
    assert!(without["targets"][0]["because"].as_str().unwrap().contains("--policy"), "{without}");
    assert_eq!(by_header["signal"], "feed.ndjson:2");
    assert_eq!(by_header["targets"][0]["outcome"], "not-selected");
    assert!(by_header["targets"][0]["remedy"].as_str().unwrap().contains("`integ:other`"), "{by_header}");
    assert_eq!(nonsense["error"]["code"], "not-ditto-protocol");
}

/// An unknown topic of a target is found before any signal is looked at.
#[test]
fn what_is_wrong_is_told() {
    check(
        &["--connection", "wrong.json", "--signal", "event.json"],
        65,
        expect![[r#"
        wrong.json: 1:205: error at /targets/0/topics/0: `_/_/things/twin/evnts` is no topic of a target; did you mean `_/_/things/twin/events`?
    "#]],
    );
    check(
        &["--connection", "press.json", "--signal", "event.json", "--policy", "feed.ndjson"],
        65,
        expect![[r#"
            feed.ndjson: policy: invalid json at byte 125: expected the end of the text
        "#]],
    );
    check(
        &["--connection", "press.json", "--signal", "event.json", "--target", "2"],
        64,
        expect![[r#"
        there is no target 2: the connection has 2, counted from 0
    "#]],
    );
    check(
        &["--connection", "none.json"],
        69,
        expect![[r#"
        `none.json` cannot be read: No such file or directory (os error 2)
    "#]],
    );
}

/// What goes wrong with scripts: nothing returned, thrown, no content type.
#[test]
fn scripts_and_what_they_make() {
    let args = [
        "explain",
        "--connection",
        "scripts.json",
        "--signal",
        "event.json",
        "--policy",
        "policy.json",
        "--policy",
        "imported.json",
        "--format",
        "json",
    ];
    let ended = setup().and_then(|setup| setup.execute(&args)).unwrap();
    ended.expect_code(0).unwrap();
    let explained: Value = serde_json::from_str(&ended.stdout).unwrap();
    let lines = explained["targets"].as_array().unwrap().iter().map(|target| {
        let text = |name: &str| target[name].as_str().unwrap_or_default();
        format!("{} {}\n  {}\n  {}\n", text("outcome"), text("reason"), text("because"), text("remedy"))
    });
    expect![[r#"
        dropped unmapped
          payload mapper `script-0`: it made nothing of it
          let `mapFromDittoProtocolMsg` return a message for such signals
        failed mapping
          not mapped: mapper `script-1`: the script failed: Error: no 900 at mapFromDittoProtocolMsg (outgoingScript:2:27); mend the script (connectivity:message.mapping.failed)
          mend the payload mapper; `ditto-connectivity explain` shows what it is given
        failed mapping
          not mapped: mapper `script-2`: the message has no content type; give Ditto.buildExternalMsg a content type (connectivity:message.mapping.failed)
          mend the payload mapper; `ditto-connectivity explain` shows what it is given
    "#]].assert_eq(&lines.collect::<String>());
}

#[test]
fn a_script_that_cannot_be_compiled() {
    check(
        &["--connection", "broken.json", "--signal", "event.json"],
        65,
        expect![[r#"
        broken.json: 1:676: error at /mappingDefinitions/script-0/options/outgoingScript: SyntaxError: function name expected at outgoingScript:1:10; mend the script
    "#]],
    );
}
