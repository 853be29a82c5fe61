use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::reader::CONFIGURATION_INVALID;
use super::*;

#[track_caller]
fn check(text: &str, expected: Expect) {
    let answer = match Connection::from_json(text) {
        Ok(connection) => {
            format!("ok {} {:?}", connection.bootstrap_servers().join(","), connection.targets().len())
        }
        Err(report) => report.to_string(),
    };
    expected.assert_eq(&answer);
}

fn minimal() -> Value {
    json!({
        "id": "c", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://kafka:9092",
        "specificConfig": {"bootstrapServers": "kafka:9092"},
        "targets": [{"address": "t", "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"]}],
    })
}

/// The minimal definition with a value put at a place.
fn with(pointer: &str, value: Value) -> String {
    let mut definition = minimal();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    definition.pointer_mut(parent).unwrap()[name] = value;
    definition.to_string()
}

#[test]
fn the_example_of_our_user_loads_as_it_stands() {
    let text = include_str!("../../../../tests/vectors/seed-example.json");
    let connection = Connection::from_json(text).unwrap();
    assert_eq!(connection.id().as_str(), "kafka-example-connection-123");
    assert_eq!(connection.bootstrap_servers(), ["localhost:9092"]);
    assert_eq!(connection.uri().to_string(), "tcp://user:*****@localhost:9092");
    assert!(!format!("{connection:?}").contains("password"));
    let kept = connection.to_json_with_secrets();
    assert_eq!(kept["uri"], "tcp://user:password@localhost:9092");
    assert_eq!(kept["specificConfig"]["bootstrapServers"], "localhost:9092,");
    assert_eq!(Connection::from_json(&kept.to_string()).unwrap(), connection);
}

#[test]
fn all_findings_at_once_with_their_places() {
    check(
        r#"{
  "id": "x y", "connectionType": "kafak", "connectionStatus": "opened",
  "uri": "tcp://user:s3cret@kafka",
  "specificConfig": { "bootstrapServers": "kafka:0", "saslMechanism": "plane" },
  "sources": [{}],
  "targets": [
    { "address": "a/{{ thing:idd }}", "topics": ["_/_/things/twin/events?filter=eq(a,1)", 5] },
    { "address": "t#", "authorizationContext": ["a"], "payloadMapping": ["JavaScript"],
      "headerMapping": { "h": "{{ time:now | fn:lowre() }}", "n": 5 }, "issuedAcknowledgementLabel": "ab" }
  ]
}"#,
        expect![[r#"
            2:34: error at /connectionType: there is no connection type `kafak`; did you mean `kafka`?
            2:9: error at /id: invalid connection id `x y`: 1 to 100 of A-Z a-z 0-9 - _ : are allowed; rename the connection
            2:63: error at /connectionStatus: there is no status `opened`; use one of open, closed, failed, misconfigured, unknown
            5:15: error at /sources/0/authorizationContext: `authorizationContext` of `` names no subject; add the subjects that may read, such as integration:my-team
            5:15: error at /sources/0/addresses: the source has no address; name at least one topic of kafka
            7:91: error at /targets/0/topics/1: this element of `topics` is no string; put it in quotes
            7:50: error at /targets/0/topics/0: `filter` is refused: invalid filter at byte 3 (line 1, column 4): there is no property `a`; mend the filter; & and + in it are written %26 and %2B
            7:5: error at /targets/0/authorizationContext: `authorizationContext` of `a/{{ thing:idd }}` names no subject; add the subjects that may read, such as integration:my-team
            7:18: error at /targets/0/address: the address is refused: invalid placeholder at byte 5: there is no placeholder `thing:idd`; did you mean `thing:id`?; mend the placeholder
            9:102: error at /targets/1/issuedAcknowledgementLabel: invalid acknowledgement label `ab`: 3 to 165 of A-Z a-z 0-9 - _ : are allowed; write {{connection:id}}: and a name of at least 3 characters
            9:67: note at /targets/1/headerMapping/n: this value is no string: it is dropped; put it in quotes
            9:31: error at /targets/1/headerMapping/h: the value is refused: invalid placeholder at byte 14: there is no function `fn:lowre()`; did you mean `fn:lower()`?; mend the placeholder
            8:74: error at /targets/1/payloadMapping/0: there is no payload mapper `JavaScript`; it needs options: define it in `mappingDefinitions`, as JavaScript
            8:5: warning at /targets/1/topics: the target has no `topics`: no signal goes there; add some, such as _/_/things/twin/events
            8:18: error at /targets/1/address: the address is refused: nothing follows `#`: name the partition or leave it out; write topic, topic/key or topic#partition
            3:10: error at /uri: the uri is refused: it has no port; write the port after the host: tcp://host:9092
            4:43: error at /specificConfig/bootstrapServers: `kafka:0` is no broker address; write host:port with a port from 1 to 65535"#]],
    );
}

#[test]
fn mistakes_in_expressions_are_shown() {
    let check = |pointer: &str, value: Value, expected: Expect| {
        let report = Connection::from_json(&with(pointer, value)).unwrap_err();
        let [finding] = report.findings() else { panic!("{report}") };
        expected.assert_eq(finding.excerpt.as_deref().unwrap_or("none"));
    };
    check(
        "/targets/0/address",
        json!("ü/{{ thing:idd }}"),
        expect![[r#"
            ü/{{ thing:idd }}
                 ^"#]],
    );
    check(
        "/targets/0/address",
        json!("to pic"),
        expect![[r#"
            to pic
              ^"#]],
    );
    // What stands beside the braces of a header may be a secret.
    check(
        "/targets/0/headerMapping",
        json!({"authorization": "Bearer s3cret {{ header:a }} {{ thing:id | fn:lowre() }} s3cret"}),
        expect![[r#"
            {{ thing:id | fn:lowre() }}
                          ^"#]],
    );
    check(
        "/targets/0/headerMapping",
        json!({"h": "s3cret ${ thing:idd } s3cret }}"}),
        expect![[r#"
            ${ thing:idd }
               ^"#]],
    );
    check(
        "/targets/0/headerMapping",
        json!({"h": "{{ header:a | fn:replace('','%') | fn:url-decode() }}"}),
        expect!["none"],
    );
    // Decoded, as the place is counted.
    check(
        "/targets/0/topics",
        json!(["_/_/things/twin/events?filter=eq(attributes/a,%22%C3%BC%22,1)"]),
        expect![[r#"
            eq(attributes/a,"ü",1)
                               ^"#]],
    );
    check(
        "/targets/0/topics",
        json!(["_/_/things/twin/events?extraFields=attributes/a,attribute/b"]),
        expect![[r#"
            attributes/a,attribute/b
                         ^"#]],
    );
    check(
        "/targets/0/topics",
        json!(["_/_/things/twin/events?extraFields=attributes/{{ thing:idd }}"]),
        expect![[r#"
            /attributes/{{ thing:idd }}
                           ^"#]],
    );
    check(
        "/targets/0/topics",
        json!(["_/_/things/twin/events?x=1&x=2"]),
        expect![[r#"
            _/_/things/twin/events?x=1&x=2
                                       ^"#]],
    );
}

#[test]
fn hosts_are_split_and_joined_with_the_uri() {
    check(
        &with("/specificConfig/bootstrapServers", json!(" a:1,,b:2 a:1, ")),
        expect!["ok a:1,b:2,kafka:9092 1"],
    );
    check(
        &with("/specificConfig/bootstrapServers", json!("kafka_1:9092")),
        expect![
            "1:124: error at /specificConfig/bootstrapServers: `kafka_1:9092` is no broker address; write host:port with a port from 1 to 65535"
        ],
    );
}

/// What keeps a connection from running is told as such, and what is only left out as what it is.
#[test]
fn what_is_not_built_is_kept_and_told() {
    let consumed = |count: i32| {
        let sources = json!([{"addresses": ["a"], "authorizationContext": ["a:b"], "consumerCount": count}]);
        let connection = Connection::from_json(&with("/sources", sources)).unwrap();
        assert_eq!(connection.not_served().count(), 0);
        connection.warnings().map(|it| (it.severity, it.pointer.clone())).collect::<Vec<_>>()
    };
    assert_eq!(consumed(2), [(Severity::Warning, "/sources".to_owned())]);
    assert_eq!(consumed(0), [(Severity::Warning, "/sources/0/consumerCount".to_owned())]);
    for (pointer, value) in [
        ("/sources", json!([])),
        ("/sshTunnel", Value::Null),
        ("/mappingContext", json!({"mappingEngine": "JavaScript", "options": {}})),
        ("/targets/0/payloadMapping", json!(["Ditto", "Normalized"])),
        ("/targets/0/headerMapping", json!({"content-type": "text/plain; charset={{ header:c }}"})),
    ] {
        let connection = Connection::from_json(&with(pointer, value)).unwrap();
        assert_eq!(connection.not_served().count(), 0, "{pointer}");
    }
    let mut target = minimal();
    target["specificConfig"]["is-diversion-target"] = json!(true);
    target["targets"][0]["topics"] = json!([]);
    let connection = Connection::from_json(&target.to_string()).unwrap();
    assert_eq!(connection.not_served().count(), 1);
}

#[test]
fn functions_run_before_the_first_message() {
    for (pointer, text, expected) in [
        ("/targets/0/address", "t/{{ feature:id | fn:default(time:now) | fn:lower() }}", None),
        ("/targets/0/address", "t#{{ header:p | fn:default('0') }}", None),
        ("/targets/0/address", "{{ thing:id | fn:substring-before(':') }}", Some("give nothing")),
        ("/targets/0/address", "t/{{ header:a | fn:filter('eq', 'x') }}", Some("give nothing")),
        ("/targets/0/address", "t/{{ header:a | fn:base64-decode() }}", Some("no base64")),
        ("/targets/0/address", "t#{{ header:a | fn:upper() }}", Some("no partition")),
        ("/targets/0/address", "t/{{ policy:id }}", Some("not available")),
        ("/targets/0/headerMapping", "{{ thing-json:attributes/a | fn:split(',') }}", None),
        ("/targets/0/headerMapping", "{{ header:a | fn:base64-decode() }}", None),
        ("/targets/0/headerMapping", "{{ header:a | fn:split(header:b) }}", Some("fn:split('separator')")),
        (
            "/targets/0/headerMapping",
            "{{ header:a | fn:replace('','%') | fn:url-decode() }}",
            Some("hexadecimal"),
        ),
    ] {
        let value = if pointer.ends_with("headerMapping") { json!({"h": text}) } else { json!(text) };
        let reason = Connection::from_json(&with(pointer, value)).err().map(|report| report.to_string());
        match (expected, &reason) {
            (None, None) => {}
            (Some(expected), Some(reason)) if reason.contains(expected) => {}
            _ => panic!("{text}: {expected:?} expected, {reason:?}"),
        }
    }
}

#[test]
fn what_stands_beside_the_targets_counts_for_them() {
    let mut definition = minimal();
    definition["targets"][0]["topics"] = json!(["_/_/connections/announcements"]);
    for (clients, expected) in [(json!(1), None), (Value::Null, None), (json!(2), Some("/clientCount"))] {
        definition["clientCount"] = clients;
        let report = Connection::from_json(&definition.to_string()).err();
        assert_eq!(report.as_ref().map(|report| report.findings()[0].pointer.as_str()), expected);
    }
}

#[test]
fn numbers_and_names_have_their_types() {
    for (pointer, value, code) in [
        ("/clientCount", json!("2"), JSON_INVALID),
        ("/clientCount", json!(0), CONFIGURATION_INVALID),
        ("/processorPoolSize", json!(-1), CONFIGURATION_INVALID),
        ("/processorPoolSize", json!(1.5), CONFIGURATION_INVALID),
        ("/name", json!(5), JSON_INVALID),
        ("/mappingDefinitions", json!("x"), JSON_INVALID),
        ("/specificConfig/bootstrapServers", json!("kafka:+9092"), CONFIGURATION_INVALID),
    ] {
        let report = Connection::from_json(&with(pointer, value)).unwrap_err();
        assert_eq!((report.findings()[0].pointer.as_str(), report.findings()[0].code), (pointer, code));
        assert_eq!(report.findings().len(), 1);
    }
}

/// Each has its place, and neither refuses the definition nor keeps it from running.
#[test]
fn what_has_no_effect_is_told() {
    let sources = json!([{"addresses": ["a"], "authorizationContext": ["a:b"]}]);
    for (pointer, value, more) in [
        ("/validateCertificates", json!(false), None),
        ("/uri", json!("tcp://kafka:9092/path"), None),
        ("/uri", json!("tcp://kafka:9092#here"), None),
        ("/targets/0/topics", json!([]), None),
        ("/targets/0/qos", json!(1), None),
        ("/specificConfig/groupId", json!("g"), None),
        ("/specificConfig/groupId", json!("g"), Some(&sources)),
        ("/specificConfig/consumerOffsetReset", json!("latest"), Some(&sources)),
        ("/specificConfig/is-diversion-source", json!(true), None),
        ("/specificConfig/is-diversion-source", json!(true), Some(&sources)),
        ("/specificConfig/preserve-normal-response-via-source", json!(true), Some(&sources)),
        ("/specificConfig/authorized-connections-as-sources", json!("c"), None),
        // Of connections of another type.
        ("/specificConfig/cleanSession", json!(true), None),
        ("/specificConfig/debugEnabled", json!("yes"), None),
        ("/mappingDefinitions", json!({"m": {"mappingEngine": "Ditto", "options": {}}}), None),
    ] {
        let mut definition: Value = serde_json::from_str(&with(pointer, value)).unwrap();
        if let Some(sources) = more {
            definition["sources"] = sources.clone();
        }
        let connection = Connection::from_json(&definition.to_string()).unwrap();
        let told = connection.warnings().filter(|it| it.pointer != "/sources").collect::<Vec<_>>();
        let [finding] = told.as_slice() else { panic!("{pointer}: {told:?}") };
        assert!(finding.pointer.starts_with(pointer), "{finding}");
        assert_eq!(connection.not_served().count(), 0);
    }
    assert_eq!(Connection::from_json(&minimal().to_string()).unwrap().findings(), []);
    for uri in ["tcp://kafka:9092", "tcp://kafka:9092/"] {
        let connection = Connection::from_json(&with("/uri", json!(uri))).unwrap();
        assert_eq!(connection.findings(), [], "{uri}");
    }
}

/// As much as a definition may have, with as many mistakes as fit into it: at quadratic cost this would not end.
#[test]
fn many_findings_are_told_at_linear_cost() {
    let report = Connection::from_json(&with("/targets/0/topics", json!(vec![5; 1 << 18]))).unwrap_err();
    assert_eq!(report.findings().len(), 1_000);
    assert_eq!(report.to_json()["findings"].as_array().map(Vec::len), Some(100));
    let unknown: serde_json::Map<_, _> = (0..1 << 17).map(|n| (format!("x{n}"), json!(n))).collect();
    let report = Connection::from_json(&Value::from(unknown).to_string()).unwrap_err();
    assert!(report.findings().len() < 200);
    let dropped = Connection::from_json(&with("/tags", json!(vec![5; 1 << 18]))).unwrap();
    assert_eq!(dropped.findings().len(), 100);
    let mut mappers = minimal();
    let definition = json!({"mappingEngine": "Ditto", "options": {}});
    for n in 0..8_000 {
        mappers["mappingDefinitions"][format!("m{n}")] = definition.clone();
    }
    let target = json!({"address": "t", "authorizationContext": ["a"], "payloadMapping": (0..10).map(|n| format!("n{n}")).collect::<Vec<_>>()});
    mappers["targets"] = json!(vec![target; 8_000]);
    assert!(Connection::from_json(&mappers.to_string()).unwrap_err().findings().len() > 100);
    let text = (0..1 << 16).map(|n| format!("&{n}=")).collect::<String>();
    let _ = Connection::from_json(&with(
        "/targets/0/topics",
        json!([format!("_/_/things/twin/events?{text}"), text.repeat(2)]),
    ));
}

#[test]
fn doubtful_things_are_warned_about() {
    let warned = |text: &str| {
        Connection::from_json(text).unwrap().warnings().map(|w| w.pointer.clone()).collect::<Vec<_>>()
    };
    assert_eq!(warned(&with("/uri", json!("tcp://u:p@kafka:9092"))), ["/specificConfig/saslMechanism"]);
    assert_eq!(warned(&with("/failoverEnabled", json!(false))), ["/failoverEnabled"]);
    assert_eq!(warned(&minimal().to_string()), [""; 0]);
}

#[test]
fn labels_belong_to_the_connection() {
    let label = |text: &str| {
        Connection::from_json(&with("/targets/0/issuedAcknowledgementLabel", json!(text)))
            .map(|connection| connection.targets()[0].issued_acknowledgement_label().unwrap().to_string())
            .map_err(|report| report.findings()[0].code)
    };
    assert_eq!(label("{{ connection:id }}:done"), Ok("c:done".to_owned()));
    assert_eq!(label("live-response"), Ok("live-response".to_owned()));
    assert_eq!(label("other:done"), Err("acknowledgement:label.invalid"));
    let longest = format!("{{{{connection:id}}}}:{}", "a".repeat(165));
    assert_eq!(label(&longest), Err("acknowledgement:label.invalid"));
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC*") {
        let _ = Connection::from_json(&text);
    }

    /// Any member of a good definition replaced by anything: an answer, never a panic, and no secret in it.
    #[test]
    fn mutations_are_answered(
        pointer in prop::sample::select(vec!["/id", "/connectionType", "/specificConfig", "/targets", "/targets/0", "/targets/0/topics",
            "/targets/0/address", "/targets/0/authorizationContext", "/targets/0/headerMapping", "/ca", "/sources", "/x"]),
        value in prop_oneof![Just(Value::Null), Just(json!(5)), Just(json!([])), Just(json!({})), Just(json!([null, 5, {}])), "\\PC{0,12}".prop_map(Value::from)],
        uri in prop::sample::select(vec!["ssl://user:CANARY@kafka:9092", "ssl://CANARY@kafka:9092", "tcp://:CANARY@kafka:9092", "CANARY",
            "ssl://user:CANARY@kafka", "http://user:CANARY@kafka:9092", "tcp://user:CANARY%@kafka:9092", "tcp://user:CANARY/x@kafka:9092",
            "tcp://user:9/CANARY@kafka:9092", "tcp://user:CANARY@@kafka:9092", "tcp://user:CANARY@ka_fka:9092", "tcp://user:CANARY@kafka:9092?x"]),
        credentials in prop::sample::select(vec![
            json!({"type": "plain", "username": "u", "password": "CANARY"}), json!({"type": "client-cert", "cert": "c", "key": "CANARY"}),
            json!({"type": "public-key", "username": "u", "publicKey": "p", "privateKey": "CANARY"}),
            json!({"type": "public-key", "privateKey": "CANARY"}), json!({"type": "plain", "password": ["CANARY"]}),
            json!({"type": "oauth-client-credentials", "clientSecret": "CANARY"}), json!({"password": "CANARY"}), json!("CANARY"),
        ]),
        tunnel in prop::option::of(Just(json!({"credentials": {"type": "plain", "password": "CANARY"}, "uri": "ssh://u:CANARY@h:1", "enabled": "CANARY"}))),
        servers in prop::sample::select(vec!["kafka:9092", "user:CANARY@kafka:9092", "tcp://user:CANARY@kafka:9092"]),
    ) {
        let mut definition = minimal();
        definition["uri"] = json!(uri);
        definition["credentials"] = credentials;
        definition["sshTunnel"] = tunnel.unwrap_or_default();
        definition["specificConfig"]["bootstrapServers"] = json!(servers);
        match definition.pointer_mut(pointer) {
            Some(at) => *at = value,
            None => definition[pointer.trim_start_matches('/')] = value,
        }
        let said = match Connection::from_json(&definition.to_string()) {
            Err(report) => {
                prop_assert!(report.has_errors());
                format!("{report} {report:?} {}", report.to_json())
            }
            Ok(connection) => format!("{connection:?} {:?} {}", connection.findings(), connection.to_json()),
        };
        prop_assert!(!said.contains("CANARY"), "{said}");
    }
}

/// 1 MiB of mistakes takes bounded memory and time, and the first of the reference's order is known all the same.
#[test]
fn any_number_of_mistakes_is_bounded() {
    let id: ConnectionId = "c".parse().unwrap();
    let many = "{},".repeat(100_000);
    let text = format!(
        "{{\"connectionType\":\"kafka\",\"connectionStatus\":\"open\",\"uri\":5,\"specificConfig\":{{}},\"targets\":[{many}{{}}]}}"
    );
    let report = Draft::of_put(&text, &id).read().unwrap_err();
    assert!(report.findings().len() <= 1_010, "{}", report.findings().len());
    assert!(report.to_json().to_string().len() < 1 << 16);
    let long = format!("{{\"targets\":[{{\"address\":\"{}\"}}]}}", "{{a:b|".repeat(100_000));
    let report = Draft::of_put(&long, &id).read().unwrap_err();
    assert!(report.to_json().to_string().len() < 1 << 16);
}
