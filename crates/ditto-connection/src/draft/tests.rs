use ditto_protocol::ConnectionId;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::report::{Check, Severity};

fn definition() -> Value {
    json!({
        "connectionType": "kafka", "connectionStatus": "open", "uri": "ssl://user:CANARY-1@kafka:9093",
        "specificConfig": {"bootstrapServers": "kafka:9093", "saslMechanism": "plain"},
        "targets": [{"address": "t", "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"]}],
        "credentials": {"type": "plain", "username": "u", "password": "CANARY-2"},
        "sources": [{"addresses": ["in"], "authorizationContext": ["a:b"], "headerMapping": {"h": "SHOWN"},
            "replyTarget": {"address": "r", "headerMapping": {"h": "SHOWN"}}}],
    })
}

fn id(text: &str) -> ConnectionId {
    text.parse().unwrap()
}

fn stored() -> Connection {
    Draft::of_post(&definition().to_string(), &id("c")).read().unwrap()
}

#[track_caller]
fn first(draft: Draft<'_>) -> (String, &'static str) {
    let report = draft.read().unwrap_err();
    let first = report.first_error().unwrap();
    (first.pointer.clone(), first.code)
}

#[test]
fn the_request_decides_about_the_id() {
    const NOT_SETTABLE: &str = "connectivity:id.notsettable";
    let c = id("c");
    let with_id = |value: Value| {
        let mut definition = definition();
        definition["id"] = value;
        definition.to_string()
    };
    assert_eq!(first(Draft::of_post(&with_id(json!("c")), &c)), ("/id".to_owned(), NOT_SETTABLE));
    assert_eq!(first(Draft::of_post(&with_id(Value::Null), &c)), ("/id".to_owned(), NOT_SETTABLE));
    assert_eq!(first(Draft::of_put(&with_id(json!("d")), &c)), ("/id".to_owned(), NOT_SETTABLE));
    assert_eq!(first(Draft::of_put(&with_id(Value::Null), &c)), ("/id".to_owned(), NOT_SETTABLE));
    assert_eq!(Draft::of_put(&with_id(json!("c")), &c).read().unwrap().id(), &c);
    assert_eq!(Draft::of_put(&definition().to_string(), &c).read().unwrap().id(), &c);
    assert_eq!(first(Draft::of_command(&definition().to_string())), ("/id".to_owned(), "json.field.missing"));
    assert_eq!(first(Draft::of_command("[]")).1, "json.format.invalid");
    assert_eq!(first(Draft::of_post("[]", &c)).1, "json.invalid");
    assert_eq!(first(Draft::of_post("", &c)).1, "json.format.invalid");

    let mut without = definition();
    without["connectionStatus"] = Value::Null;
    let created = Draft::of_post(&without.to_string(), &c).read().unwrap();
    assert_eq!(created.to_json()["connectionStatus"], "unknown");
    assert_eq!(first(Draft::of_put(&without.to_string(), &c)).0, "/connectionStatus");
    assert_eq!(first(Draft::of_dry_run(&without.to_string(), &c)).0, "/connectionStatus");
    assert_eq!(Draft::of_dry_run(&with_id(json!("d")), &c).read().unwrap().id(), &id("d"));
    assert_eq!(Draft::of_dry_run(&definition().to_string(), &c).read().unwrap().id(), &c);
}

#[test]
fn answers_have_no_secret_and_can_be_brought_back() {
    let stored = stored();
    let mut answer = stored.to_json();
    assert_eq!(answer["uri"], "ssl://user:*****@kafka:9093");
    assert_eq!(answer["credentials"]["password"], "*****");
    for text in [answer.to_string(), format!("{stored:?}")] {
        assert!(!text.contains("CANARY"), "{text}");
    }
    // Answers have header mappings, logs do not: they may hold a token.
    assert!(answer.to_string().contains("SHOWN") && !format!("{stored:?}").contains("SHOWN"), "{stored:?}");
    answer["uri"] = json!("ssl://other:*****@kafka:9093");
    let text = answer.to_string();
    let changed = Draft::of_put(&text, stored.id()).with_secrets_of(&stored).read().unwrap();
    let kept = changed.to_json_with_secrets();
    assert_eq!(kept["uri"], "ssl://other:CANARY-1@kafka:9093");
    assert_eq!(kept["credentials"]["password"], "CANARY-2");
}

#[test]
fn a_kept_password_goes_nowhere_else() {
    let stored = stored();
    let read = |uri: &str, servers: Option<&str>| {
        let mut answer = stored.to_json();
        answer["uri"] = json!(uri);
        if let Some(servers) = servers {
            answer["specificConfig"]["bootstrapServers"] = json!(servers);
        }
        let text = answer.to_string();
        match Draft::of_put(&text, stored.id()).with_secrets_of(&stored).read() {
            Ok(_) => "kept".to_owned(),
            Err(report) => {
                assert!(!report.to_string().contains("CANARY"), "{report}");
                let first = report.first_error().unwrap();
                format!("{}: {}", first.pointer, first.reason)
            }
        }
    };
    assert_eq!(read("ssl://user:*****@kafka:9093/path", None), "kept");
    let other =
        |servers: &str| format!("/uri: `*****` stands for the password of other servers than {servers}");
    assert_eq!(read("ssl://user:*****@elsewhere:9093", None), other("elsewhere:9093"));
    assert_eq!(read("ssl://user:*****@kafka:9094", None), other("kafka:9094"));
    assert_eq!(read("ssl://user:*****@kafka:9093", Some("kafka:9093,evil:1")), other("evil:1"));
    let plain = "/uri: `*****` stands for a password that was sent encrypted only";
    assert_eq!(read("tcp://user:*****@kafka:9093", None), plain);
    assert_eq!(read("ssl://user:again@elsewhere:9093", None), "kept");
    assert_eq!(read("ssl://elsewhere:9093", None), "kept");
}

#[test]
fn a_mask_stands_for_something() {
    let stored = stored();
    let masked = stored.to_json();
    let text = masked.to_string();
    let report = Draft::of_put(&text, stored.id()).read().unwrap_err();
    let found: Vec<_> = report.findings().iter().filter(|it| it.severity == Severity::Error).collect();
    let places: Vec<_> = found.iter().map(|it| it.pointer.as_str()).collect();
    assert_eq!(places, ["/credentials/password", "/uri"]);

    // Secrets of another kind are none for it.
    let mut other = definition();
    other["uri"] = json!("ssl://kafka:9093");
    other["credentials"] = json!({"type": "client-cert", "cert": "x", "key": null});
    let other = Draft::of_post(&other.to_string(), stored.id()).read().unwrap();
    assert!(Draft::of_put(&text, stored.id()).with_secrets_of(&other).read().is_err());
}

#[test]
fn the_first_error_is_that_of_the_reference() {
    // Each entry breaks what a later one checks as well.
    let mistakes: [(&str, Value, Check); 12] = [
        ("/specificConfig/bootstrapServers", json!("kafka"), Check::BootstrapServers),
        ("/specificConfig/saslMechanism", json!("gssapi"), Check::SaslMechanism),
        ("/targets/0/payloadMapping", json!(["Lua"]), Check::Mappers),
        ("/targets/0/address", json!("a b"), Check::Targets),
        ("/ca", json!("-----BEGIN CERTIFICATE-----\nMAcwADAAAwEA\n-----END CERTIFICATE-----"), Check::Scheme),
        ("/credentials", json!({"type": "hmac"}), Check::Credentials),
        (
            "/sshTunnel",
            json!({"enabled": false, "uri": "ssh://h:1", "credentials": {"type": "plain"}, "validateHost": false}),
            Check::Tunnel,
        ),
        ("/ca", json!("x"), Check::Certificates),
        ("/targets/0/issuedAcknowledgementLabel", json!("other:label"), Check::Labels),
        ("/targets/0/topics", json!(["_/_/things/twin/events?filter=x"]), Check::Addresses),
        ("/targets/0/authorizationContext", json!([5]), Check::Subjects),
        ("/clientCount", json!("1"), Check::Read),
    ];
    let mut definition = definition();
    definition["uri"] = json!("tcp://user:CANARY-1@kafka:9092");
    let c = id("c");
    for (pointer, value, check) in mistakes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        definition.pointer_mut(parent).unwrap()[name] = value;
        let report = Draft::of_post(&definition.to_string(), &c).read().unwrap_err();
        assert_eq!(report.first_error().map(|it| it.check), Some(check), "{pointer}: {report}");
        assert!(!report.to_json().to_string().contains("CANARY"));
    }
    let error = Draft::of_post(&definition.to_string(), &c).read().unwrap_err().to_json();
    assert_eq!((&error["status"], &error["error"]), (&json!(400), &json!("json.invalid")));
    assert!(error["message"].as_str().unwrap().contains("/clientCount"));
    assert!(error["findings"].as_array().unwrap().len() >= 11, "{error}");
}

#[test]
fn options_are_looked_at_by_whoever_knows_them() {
    let mut definition = definition();
    definition["mappingDefinitions"] = json!({
        "mine": {"mappingEngine": "JavaScript", "options": {"incomingScript": "function ("}},
        "unused": {"mappingEngine": "JavaScript", "options": {"incomingScript": "function ("}},
    });
    definition["targets"][0]["payloadMapping"] = json!(["mine", "Normalized", "mine"]);
    let text = definition.to_string();
    let c = id("c");
    let check = |it: &MappingDefinition| {
        assert_eq!(it.id(), "mine");
        let finding = |severity, name: &str| MapperFinding {
            severity,
            pointer: format!("/options/{name}"),
            reason: "no script".to_owned(),
            remedy: "mend it".to_owned(),
        };
        vec![finding(Severity::Warning, "incomingScirpt"), finding(Severity::Error, "incomingScript")]
    };
    let report = Draft::of_post(&text, &c).with_mappers(&check).read().unwrap_err();
    let errors: Vec<_> = report.findings().iter().filter(|it| it.severity == Severity::Error).collect();
    assert_eq!(errors.len(), 1, "{report}");
    assert_eq!(errors[0].pointer, "/mappingDefinitions/mine/options/incomingScript");
    assert_eq!(report.first_error(), Some(errors[0]));
    let warned: Vec<_> = report.warnings().map(|it| it.pointer.as_str()).collect();
    assert!(warned.contains(&"/mappingDefinitions/mine/options/incomingScirpt"), "{report}");
    // Without somebody who knows them they are taken as they are; what nobody names has no effect.
    let connection = Draft::of_post(&text, &c).read().unwrap();
    let notes = connection.findings().iter().filter(|it| it.severity == Severity::Note);
    assert_eq!(notes.map(|it| it.pointer.as_str()).collect::<Vec<_>>(), ["/mappingDefinitions/unused"]);
}

#[test]
fn what_is_dropped_is_told() {
    let mut definition = definition();
    definition["tgas"] = json!(["x"]);
    definition["targets"][0]["headerMaping"] = json!({});
    definition["specificConfig"]["bootstrapServer"] = json!("x");
    definition["specificConfig"]["mine"] = json!(1);
    definition["tags"] = json!(["a", 1, "a"]);
    let connection = Draft::of_post(&definition.to_string(), &id("c")).read().unwrap();
    let notes = connection.findings().iter().filter(|it| it.severity == Severity::Note);
    let notes: Vec<_> = notes.map(|it| (it.pointer.as_str(), it.remedy.as_str())).collect();
    assert_eq!(
        notes,
        [
            ("/tgas", "did you mean `tags`?"),
            ("/targets/0/headerMaping", "did you mean `headerMapping`?"),
            ("/specificConfig/bootstrapServer", "did you mean `bootstrapServers`?"),
            ("/specificConfig/mine", "remove it"),
            ("/tags/1", "put it in quotes"),
        ]
    );
    assert_eq!(connection.tags(), ["a"]);
    assert_eq!(connection.to_json()["specificConfig"]["mine"], "1");
}

/// Any source, with and without each of its members.
fn source() -> impl Strategy<Value = Value> {
    let texts = |texts: &'static [&'static str]| prop::sample::subsequence(texts, 0..=texts.len());
    let types = texts(&["nack", "response", "error"]);
    let reply = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|enabled| json!({"enabled": enabled})),
        (any::<bool>(), types).prop_map(|(enabled, types)| json!({
            "enabled": enabled, "address": "r/{{ nope }}", "expectedResponseTypes": types, "headerMapping": {"h": "x"},
        })),
    ];
    let enforcement = prop_oneof![
        Just(Value::Null),
        texts(&["{{ thing:id }}", "{{ policy:id }}"])
            .prop_map(|it| json!({"input": "{{ header:d }}", "filters": it})),
    ];
    let acks = texts(&["twin-persisted", "{{connection:id}}:abc"])
        .prop_map(|it| json!({"includes": it, "filter": "x"}));
    let mappers = texts(&["Ditto", "mine", "CloudEvents"]);
    let headers = texts(&["reply-to", "a"]);
    let qos = prop_oneof![Just(Value::Null), (0..=1).prop_map(Value::from)];
    (reply, enforcement, acks, mappers, headers, qos, -1..3).prop_map(
        |(reply, enforcement, acks, mappers, headers, qos, consumers)| {
            let headers: serde_json::Map<_, _> =
                headers.into_iter().map(|name| (name.to_owned(), json!("{{header:x}} ü"))).collect();
            json!({
                "addresses": ["in", "in", "other"], "authorizationContext": ["a:b", "{{ header:x }}"], "qos": qos,
                "consumerCount": consumers, "enforcement": enforcement, "acknowledgementRequests": acks,
                "headerMapping": headers, "payloadMapping": mappers, "replyTarget": reply,
                "declaredAcks": ["{{ connection:id }}:abc", "c:def"],
            })
        },
    )
}

fn target() -> impl Strategy<Value = Value> {
    let topic = prop::sample::select(vec![
        "_/_/things/twin/events",
        "_/_/things/twin/events?filter=eq(attributes/a,%22x%26y%2B%2525%22)&namespaces=a,,b&x=y",
        "_/_/things/live/messages?extraFields=attributes/a,features/{{ feature:id }}/properties",
        "_/_/policies/announcements?namespaces=a&filter=x",
    ]);
    let label =
        prop::sample::select(vec![Value::Null, json!("live-response"), json!("{{connection:id}}:abc")]);
    (prop::collection::vec(topic, 0..4), label, any::<Option<i32>>()).prop_map(|(topics, label, qos)| {
        json!({
            "address": "t/{{ thing:id }}", "topics": topics, "authorizationContext": ["a:b"], "qos": qos,
            "issuedAcknowledgementLabel": label, "headerMapping": {"h": "{{ thing:id|fn:upper() }}"},
        })
    })
}

proptest! {
    /// What is printed reads back as the same, in clear and masked, and printing again changes nothing.
    #[test]
    fn the_canonical_form_reads_back(
        sources in prop::collection::vec(source(), 0..=4),
        target in target(),
        password in "[!-~äπ]{1,12}",
        name in prop::option::of("\\PC{0,9}"),
        is_migrated in any::<bool>(),
    ) {
        prop_assume!(password != "*****");
        let encoded: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let mut definition = json!({
            "id": "c", "name": name, "connectionType": "kafka", "connectionStatus": "misconfigured",
            "uri": format!("ssl://ü:{encoded}@kafka.example:9093/path"), "sources": sources, "targets": [target],
            "specificConfig": {"bootstrapServers": "a:1, b:2", "debugEnabled": true, "x": {"y": [1.50]}},
            "mappingDefinitions": {"mine": {"mappingEngine": "JavaScript", "options": {"a": null},
                "incomingConditions": {"c": 5}, "outgoingConditions": {}}},
            "processorPoolSize": 3, "clientCount": 2, "tags": ["b", "a", "b"], "credentials": {"type": "client-cert"},
        });
        if is_migrated {
            definition["mappingContext"] = json!({"mappingEngine": "JavaScript", "options": {"outgoingScript": ""}});
        }
        let connection = Connection::from_json(&definition.to_string());
        prop_assert!(connection.is_ok(), "{}", connection.unwrap_err());
        let connection = connection.unwrap();
        let kept = connection.to_json_with_secrets();
        let again = Connection::from_json(&kept.to_string());
        prop_assert!(again.is_ok(), "{}", again.unwrap_err());
        let again = again.unwrap();
        prop_assert_eq!(again.to_json_with_secrets(), kept);
        prop_assert_eq!(again.uri().credentials.as_ref().map(|it| it.username.as_str()), Some("ü"));
        let masked = connection.to_json().to_string();
        let back = Draft::of_command(&masked).with_secrets_of(&connection).read();
        prop_assert!(back.is_ok_and(|back| back == connection));
        // Nothing of what is printed is dropped again.
        let dropped: Vec<_> = again.findings().iter().filter(|it| it.reason.contains("dropped")).collect();
        prop_assert!(dropped.is_empty(), "{dropped:?}");
    }
}
