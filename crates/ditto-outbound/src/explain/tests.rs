//! Why nothing arrives: deliberate mistakes, each with its cause and the way out.

use std::time::SystemTime;

use ditto_authorization::{Enforcer, Policy};
use ditto_connection::Connection;
use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::feed::Payload;
use crate::intake::{FeedPolicy, Intake, InternalHeaders};
use crate::memory::MemoryDirectory;
use crate::target::RunOptions;

/// What is explained, all of it right until something is changed.
struct Case {
    address: &'static str,
    topic: &'static str,
    subject: &'static str,
    headers: Value,
    /// Its definition is `mine`.
    mapper: Option<Value>,
    signal: Value,
    /// `None`: it is gone.
    policy: Option<Value>,
    thing: Option<Value>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            address: "out/{{ thing:name }}",
            topic: "_/_/things/twin/events",
            subject: "integ:reader",
            headers: json!({}),
            mapper: None,
            signal: json!({
                "topic": "org.acme/press-4/things/twin/events/modified", "path": "/attributes", "revision": 7,
                "headers": {}, "value": {"rpm": 900, "secret": 1},
            }),
            policy: Some(json!({"entries": {
                "readers": {
                    "subjects": {"integ:reader": {"type": "t"}, "integ:guest": {"type": "t"}},
                    "resources": {"thing:/": {"grant": ["READ"], "revoke": []}},
                },
                "guests": {
                    "subjects": {"integ:guest": {"type": "t"}},
                    "resources": {"thing:/attributes/secret": {"grant": [], "revoke": ["READ"]}},
                },
            }})),
            thing: Some(json!({"thingId": "org.acme:press-4", "attributes": {"site": "north", "rpm": 900}})),
        }
    }
}

impl Case {
    fn explanation(&self) -> TargetExplanation {
        let definition = json!({
            "id": "c", "name": "c", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
            "specificConfig": {"bootstrapServers": "localhost:9092"},
            "targets": [{
                "address": self.address, "topics": [self.topic], "authorizationContext": [self.subject],
                "headerMapping": self.headers, "payloadMapping": self.mapper.iter().map(|_| "mine").collect::<Vec<_>>(),
            }],
            "mappingDefinitions": self.mapper.iter().map(|it| ("mine".to_owned(), it.clone())).collect::<Map<_, _>>(),
        });
        let connection = CompiledConnection::compile(
            &Connection::from_json(&definition.to_string()).unwrap(),
            &RunOptions::default(),
        );
        let directory = MemoryDirectory::default();
        directory.tell_policy(
            "org.acme:press-4",
            self.policy.as_ref().map(|policy| {
                let policy: Policy = policy.to_string().parse().unwrap();
                let now = SystemTime::now();
                Arc::new(Enforcer::compile(&policy, Some("org.acme"), now, |_| None).unwrap())
            }),
        );
        if let Some(thing) = &self.thing {
            directory.tell("org.acme:press-4", Some(&thing.to_string()));
        }
        let policy = FeedPolicy { internal_headers: InternalHeaders::Trust, ..FeedPolicy::default() };
        let text = Payload::Text(self.signal.to_string().into());
        let signal = Arc::new(Intake::new(policy).decode(text, &[]).unwrap());
        let mut explained = Explainer::new(connection).explain(&signal, &mut directory.clone());
        assert_eq!(explained.len(), 1);
        explained.remove(0)
    }

    #[track_caller]
    fn check(&self, expected: Expect) {
        let explained = self.explanation();
        let json = explained.to_json();
        let member = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
        let shown = [member("outcome"), member("reason"), member("because"), member("remedy")];
        expected.assert_eq(&shown.map(|line| format!("{line}\n")).concat());
        // People read the same.
        let text = explained.to_string();
        shown.iter().for_each(|shown| assert!(text.contains(shown), "{shown} is not in {text}"));
    }
}

#[test]
fn a_wrong_subject() {
    Case { subject: "integ:raeder", ..Case::default() }.check(expect![[r#"
        not-selected

        by its policy the target's subjects may not read thing:/attributes
        did you mean `integ:reader` instead of `integ:raeder` in the authorizationContext? let the policy grant READ on thing:/attributes to a subject of the target's authorizationContext; those who may are `integ:guest`, `integ:reader`
    "#]]);
}

#[test]
fn a_revoked_path() {
    let mut case = Case { subject: "integ:guest", ..Case::default() };
    case.signal["path"] = json!("/attributes/secret");
    case.check(expect![[r#"
        dropped
        restricted
        by its policy the target's subjects may not read thing:/attributes/secret: entry `guests` revokes READ on thing:/attributes/secret to `integ:guest`
        take that revoke out of entry `guests`, or grant READ at thing:/attributes/secret or below
    "#]]);
}

#[test]
fn a_misspelt_namespace() {
    Case { topic: "_/_/things/twin/events?namespaces=org.acmee", ..Case::default() }.check(expect![[r#"
        not-selected

        its namespace is `org.acme`, and the target is for org.acmee
        did you mean `org.acme` instead of `org.acmee` in the topic's namespaces?
    "#]]);
}

#[test]
fn a_filter_on_a_field_that_the_event_lacks() {
    Case { topic: "_/_/things/twin/events?filter=eq(attributes/site,'north')", ..Case::default() }.check(
        expect![[r#"
            dropped
            filtered
            its filter does not hold: the signal has no `attributes/site`, and the topic has no extra fields
            if it is a field of the thing, add `&extraFields=attributes/site` to the topic
        "#]],
    );
}

#[test]
fn a_filter_on_a_field_that_is_not_selected() {
    let topic = "_/_/things/twin/events?extraFields=attributes/rpm&filter=eq(attributes/site,'north')";
    Case { topic, ..Case::default() }.check(expect![[r#"
        dropped
        filtered
        its filter does not hold: neither the signal nor the extra fields have `attributes/site`
        if it is a field of the thing, add `attributes/site` to the topic's extraFields
    "#]]);
}

#[test]
fn a_placeholder_without_a_value() {
    Case { address: "out/{{ thing-json:attributes/line }}", ..Case::default() }.check(expect![[r#"
        failed
        address-unresolved
        `out/{{ thing-json:attributes/line }}` is not resolved: `{{ thing-json:attributes/line }}` has no value for this signal
        add `| fn:default('…')` behind it, or use a placeholder that every signal of the target has
    "#]]);
}

#[test]
fn a_partition_that_is_no_number() {
    Case { address: "out#{{ thing:name }}", ..Case::default() }.check(expect![[r#"
        failed
        address-invalid
        `out#{{ thing:name }}` resolves to `out#press-4`: `press-4` is no partition: a number from 0 to 2147483647
        make its placeholders resolve to a legal topic, and a partition to a number
    "#]]);
}

#[test]
fn its_own_origin() {
    let mut case = Case::default();
    case.signal["headers"]["ditto-origin"] = json!("c");
    case.check(expect![[r#"
        not-selected

        it comes from this connection itself (header `ditto-origin`)
        nothing: what a connection has sent does not come back to it; another connection gets it
    "#]]);
}

#[test]
fn another_kind() {
    Case { topic: "_/_/things/live/messages", ..Case::default() }.check(expect![[r#"
        not-selected

        it is of kind _/_/things/twin/events, and the target is for _/_/things/live/messages
        add `_/_/things/twin/events` to the target's topics
    "#]]);
}

#[test]
fn a_topic_that_cannot_be() {
    Case { address: "{{ thing:id }}", ..Case::default() }.check(expect![[r#"
        failed
        address-invalid
        `{{ thing:id }}` resolves to `org.acme:press-4`: `org.acme:press-4` is no topic: 1 to 249 of A-Z a-z 0-9 . _ - are allowed, and not `.` or `..`
        make its placeholders resolve to a legal topic, and a partition to a number
    "#]]);
}

#[test]
fn a_policy_that_is_gone() {
    Case { policy: None, ..Case::default() }.check(expect![[r#"
        not-selected

        nobody may read it: its thing or policy is gone, or may not be read by the directory
        make the thing's policy anew, or let the directory's user READ `policy:/` and `thing:/`
    "#]]);
}

#[test]
fn a_thing_that_is_not_known() {
    let topic = "_/_/things/twin/events?extraFields=attributes/site";
    Case { topic, thing: None, ..Case::default() }.check(expect![[r#"
        unknown

        the directory has not answered yet
        let the directory know the thing and its policy
    "#]]);
}

#[test]
fn a_filter_on_what_is_hidden() {
    let topic = "_/_/things/twin/events?filter=eq(attributes/secret,1)";
    Case { topic, subject: "integ:guest", ..Case::default() }.check(expect![[r#"
        dropped
        filtered
        its filter does not hold: the target's subjects may not read `attributes/secret`, and so its filters do not see it
        grant READ on thing:/attributes/secret to a subject of the target, or leave it out of the filter
    "#]]);
}

#[test]
fn what_arrives_is_explained_too() {
    let case = Case {
        subject: "integ:guest",
        topic: "_/_/things/twin/events?extraFields=attributes/site&filter=and(gt(attributes/rpm,800),eq(attributes/site,'north'))",
        headers: json!({"site": "{{ thing-json:attributes/site }}", "line": "{{ thing-json:attributes/line }}"}),
        ..Case::default()
    };
    expect![[r#"
        c target 0 → out/{{ thing:name }}: published
          + origin     it does not come from this connection
          + kind       _/_/things/twin/events
          + namespace  org.acme
          + subjects   by its policy the target's subjects may read parts of the thing; the signal is about thing:/attributes
              entry `readers` grants READ on thing:/ to `integ:guest`
              entry `guests` revokes READ on thing:/attributes/secret to `integ:guest`
          + view       the target sees the part that its subjects may read
              value: {"rpm":900}
          + topic      it is for this topic
              _/_/things/twin/events?filter=and(gt(attributes/rpm,800),eq(attributes/site,'north'))&extraFields=attributes/site
                unknown and
                true      gt(attributes/rpm,800)  <- 900
                unknown   eq(attributes/site,"north")
              with extra fields:
                true    and
                true      gt(attributes/rpm,800)  <- 900
                true      eq(attributes/site,"north")  <- "north"
              extra: {"attributes":{"site":"north"}}
          + headers    header `line` is left out: `{{ thing-json:attributes/line }}` has no value for this signal
              site = north
              line is left out: `{{ thing-json:attributes/line }}` has no value for this signal
          + address    out/{{ thing:name }}
              {{ thing:name }} = press-4
          = topic     out
            key       press-4
            header    content-type: application/vnd.eclipse.ditto+json
            header    site: north
            header    ditto-connection-id: c
            payload   {"topic":"org.acme/press-4/things/twin/events/modified","headers":{"response-required":false,"entity-revision":7,"content-type":"application/json"},"path":"/attributes","value":{"rpm":900},"extra":{"attributes":{"site":"north"}},"revision":7}"#]].assert_eq(&case.explanation().to_string());
}

fn mapper(engine: &str, options: Value, condition: &str) -> Option<Value> {
    let conditions = json!({ "own": condition });
    Some(json!({ "mappingEngine": engine, "options": options, "outgoingConditions": conditions }))
}

const ALWAYS: &str = "fn:default('x')";

#[test]
fn a_condition_that_does_not_hold() {
    let mapper = mapper("Normalized", json!({}), "fn:filter(topic:channel,'eq','live')");
    Case { mapper, ..Case::default() }.check(expect![[r#"
        dropped
        unmapped
        payload mapper `mine`: its condition `own` does not hold
        let `own` of its outgoingConditions hold for such signals; `ditto-connectivity eval placeholder` tries `{{ fn:default('true') | … }}`
    "#]]);
}

#[test]
fn a_condition_that_cannot_be_evaluated() {
    let mapper = mapper("Normalized", json!({}), "topic:channel");
    Case { mapper, ..Case::default() }.check(expect![[r#"
        failed
        mapping
        not mapped: mapper `mine`: invalid placeholder at byte 24: there is no function `topic:channel`; mend the placeholder in the definition (placeholder:function.unknown)
        mend the payload mapper; `ditto-connectivity explain` shows what it is given
    "#]]);
}

#[test]
fn a_mapper_that_makes_nothing() {
    let mut case = Case { mapper: mapper("Normalized", json!({}), ALWAYS), ..Case::default() };
    case.signal["topic"] = json!("org.acme/press-4/things/twin/events/deleted");
    case.signal.as_object_mut().unwrap().remove("value");
    case.check(expect![[r#"
        dropped
        unmapped
        payload mapper `mine`: it made nothing of it
        it maps events that create, modify or merge things; `includeDeletedFields` lets it map more
    "#]]);
    let options = json!({ "thingId": "org.acme:press-4" });
    let mapper = mapper("ConnectionStatus", options, ALWAYS);
    Case { mapper, ..Case::default() }.check(expect![[r#"
        dropped
        unmapped
        payload mapper `mine`: it made nothing of it
        ConnectionStatus maps nothing on the way out: name another mapper in `payloadMapping`
    "#]]);
}

#[test]
fn a_content_type_that_is_not_that_of_the_value() {
    let mut case = Case {
        topic: "_/_/things/live/messages",
        mapper: mapper("RawMessage", json!({}), ALWAYS),
        ..Case::default()
    };
    let policy = case.policy.as_mut().unwrap();
    policy["entries"]["readers"]["resources"]["message:/"] = json!({"grant": ["READ"], "revoke": []});
    case.signal = json!({
        "topic": "org.acme/press-4/things/live/messages/start", "path": "/inbox/messages/start",
        "headers": {"content-type": "application/octet-stream"}, "value": "no base64",
    });
    case.check(expect![[r#"
        published



    "#]]);
}

#[test]
fn a_mapper_that_nobody_brings() {
    let options = json!({ "outgoingScript": "" });
    Case { mapper: mapper("JavaScript", options, ALWAYS), ..Case::default() }.check(expect![[r#"
        failed
        mapping
        not mapped: error at payloadMapping/0: the definition of payload mapper `mine` cannot be used; mend it at /mappingDefinitions/mine
        mend the payload mapper; `ditto-connectivity explain` shows what it is given
    "#]]);
}

#[test]
fn what_mappers_are_given_and_make_is_shown() {
    let case = Case {
        subject: "integ:guest",
        mapper: mapper("Normalized", json!({ "fields": "thingId,attributes" }), ALWAYS),
        ..Case::default()
    };
    let explanation = case.explanation();
    let mapping = &explanation.to_json()["decisions"].as_array().unwrap()[5].clone();
    expect![[r#"
        {
          "step": "mapping",
          "passes": true,
          "says": "1 by `mine`",
          "input": "{\"topic\":\"org.acme/press-4/things/twin/events/modified\",\"headers\":{\"response-required\":false,\"entity-revision\":7,\"content-type\":\"application/json\"},\"path\":\"/attributes\",\"value\":{\"rpm\":900},\"revision\":7}",
          "mappers": [
            {
              "mapper": "mine",
              "engine": "Normalized",
              "message": {
                "headers": {
                  "content-type": "application/json"
                },
                "payload": "{\"thingId\":\"org.acme:press-4\",\"attributes\":{\"rpm\":900}}"
              }
            }
          ]
        }"#]].assert_eq(&format!("{mapping:#}"));
    // What is hidden is not shown.
    assert!(!explanation.to_string().contains("secret\":1"));
}
