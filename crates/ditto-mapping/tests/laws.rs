//! What holds for any input. The targets in `fuzz/` look for one that breaks it, `crashes/` has those that did.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what breaks a law ends the test"
)]

use std::collections::BTreeSet;

use ditto_mapping::{
    Engines, ExternalMessage, LaneMappers, MapperList, MappingLimits, Mappings, Outcome, OutgoingMessage,
    OutgoingSignal, Payload, Severity,
};
use ditto_placeholder::{Placeholder, Resolve};
use ditto_protocol::{HeaderDefinition, Limits, Signal, Written};
use serde_json::{Value, json};

struct Nothing;

impl Resolve for Nothing {
    fn resolve(&self, _: &Placeholder, _: &mut String) -> Option<()> {
        None
    }
}

/// Each mapper that there is.
fn mappers() -> MapperList {
    let definitions = json!({
        "status": { "mappingEngine": "ConnectionStatus", "options": { "thingId": "{{ header:id }}" } },
        "create": { "mappingEngine": "ImplicitThingCreation", "options": {
            "thing": { "thingId": "a:{{ header:id }}", "attributes": { "{{ header:id | fn:default('n') }}": ["{{ header:x }}"] } },
            "commandHeaders": { "x": "{{ header:x }}", "correlation-id": "{{ header:id }}" } } },
        "update": { "mappingEngine": "UpdateTwinWithLiveResponse", "options": {
            "dittoHeadersForMerge": { "x": "{{ header:x }} ${header:id} {{ thing:id }}" } } },
        "deleted": { "mappingEngine": "Normalized", "options": { "includeDeletedFields": true, "fields": "_deletedFields,_context" } },
    });
    let mappings = Mappings::read(Some(&definitions), &Engines::default());
    assert_eq!(mappings.findings(|_| true).iter().find(|finding| finding.severity == Severity::Error), None);
    let ids = [
        "Ditto",
        "Normalized",
        "RawMessage",
        "CloudEvents",
        "UpdateTwinWithLiveResponse",
        "status",
        "create",
        "update",
        "deleted",
    ];
    mappings.list(&ids, "").expect("each is defined")
}

/// What comes in becomes signals that can be written and read, with the id of their mapper and with no header that only
/// Ditto may set; or it is a mistake of whoever sent it. The input is headers, a line each, an empty line and the payload.
pub(crate) fn incoming(data: &[u8]) {
    let (lines, payload) = match data.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (String::from_utf8_lossy(&data[..at]).into_owned(), &data[at + 2..]),
        None => (String::new(), data),
    };
    let sent: Vec<(String, String)> = lines
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let list = mappers();
    let mut lane = LaneMappers::new(MappingLimits::default());
    for content_type in [
        "",
        "application/vnd.eclipse.ditto+json",
        "application/cloudevents+json",
        "application/json",
        "text/plain;charset=UTF-16",
    ] {
        let more = ["content-type", "ce-id", "ce-type", "ce-source", "ce-specversion"].map(|name| {
            (name.to_owned(), if name == "content-type" { content_type.to_owned() } else { "1".to_owned() })
        });
        let more = more.into_iter().filter(|(_, value)| !value.is_empty());
        let headers = more.chain(sent.clone()).collect();
        let message = ExternalMessage::of_record(headers, Some(payload.to_vec().into()));
        let mut told = BTreeSet::new();
        lane.incoming(&list, &message, "c", |id, outcome| {
            told.insert(id.to_owned());
            match outcome {
                Outcome::Mapped(signal) => mapped(id, &signal),
                Outcome::Dropped(_) => {}
                Outcome::Failed(error) => {
                    assert!((400..500).contains(&error.status()), "{error}");
                    assert!(!error.reason().is_empty() && !error.remedy().is_empty(), "{error}");
                    assert_eq!(error.mapper(), Some(id));
                }
            }
        });
        assert_eq!(told.len(), list.ids().count());
    }
}

fn mapped(id: &str, signal: &Signal) {
    const OWN: [&str; 2] = ["ditto-inbound-payload-mapper", "ditto-entity-id"];
    assert_eq!(signal.headers().text(OWN[0]).as_deref(), Some(id));
    for header in signal.headers().iter() {
        let is_internal = header.definition().is_some_and(HeaderDefinition::is_internal);
        assert!(!is_internal || OWN.iter().any(|own| header.is_named(own)), "{}", header.name());
    }
    let mut text = Vec::new();
    signal.write(&Written::default(), &mut text);
    let again = Signal::decode(text.clone().into(), &Limits::new(usize::MAX, usize::MAX));
    assert!(again.is_ok(), "{:?} {}", again.err(), String::from_utf8_lossy(&text));
}

/// What goes out is text of JSON, or what a message has; the Ditto mapper writes what the signal writes.
pub(crate) fn outgoing(data: &[u8]) {
    let Ok(signal) = Signal::decode(data.to_vec().into(), &Limits::default()) else { return };
    let mut written = Vec::new();
    signal.write(&Written::default(), &mut written);
    let value: Value = serde_json::from_slice(&written).expect("what is written is json");
    let mut lane = LaneMappers::new(MappingLimits::default());
    lane.outgoing(&mappers(), &OutgoingSignal::new(&signal, Written::default(), &Nothing), |id, outcome| {
        let Outcome::Mapped(message) = outcome else { return };
        let names: BTreeSet<_> = message.headers().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(names.len(), message.headers().count());
        match id {
            "Ditto" => assert_eq!(*message.payload(), Payload::Text(written.clone().into())),
            "CloudEvents" => assert_eq!(json_of(&message)["data"], value),
            "Normalized" | "deleted" => assert!(json_of(&message).is_object()),
            "RawMessage" => assert!(message.header("content-type").is_some()),
            other => panic!("{other} maps nothing that goes out"),
        }
    });
}

fn json_of(message: &OutgoingMessage) -> Value {
    match message.payload() {
        Payload::Text(text) => serde_json::from_slice(text).expect("json"),
        other => panic!("{other:?} is no text"),
    }
}

/// Whatever a header says, the thing that is created has the members of its template, and that text in its place. Nothing
/// of it is there for the next message.
pub(crate) fn creation(data: &[u8]) {
    let Ok(said) = std::str::from_utf8(data) else { return };
    let definitions = json!({ "c": { "mappingEngine": "ImplicitThingCreation", "options": {
        "thing": { "thingId": "a:b", "policyId": "a:p", "attributes": { "by": "{{ header:x }}", "n": [{ "m": "<{{ header:x }}>" }] } },
        "commandHeaders": { "own": "{{ header:x }}" } } } });
    let mappings = Mappings::read(Some(&definitions), &Engines::default());
    let list = mappings.list(&["c"], "").expect("it is defined");
    let mut lane = LaneMappers::new(MappingLimits::default());
    let mut create = |said: &str| {
        let message = ExternalMessage::of_text(vec![("x".to_owned(), said.to_owned())], "");
        let mut created = None;
        lane.incoming(&list, &message, "c", |_, outcome| created = Some(outcome));
        match created {
            Some(Outcome::Mapped(signal)) => Ok(signal),
            // Of those that keys and headers of Ditto may not have, or too much of it.
            Some(Outcome::Failed(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    };
    let check = |said: &str, signal: &Signal| {
        let value: Value = serde_json::from_str(signal.value().unwrap_or_default()).expect("json");
        assert_eq!(
            value,
            json!({ "_namespace": "a", "thingId": "a:b", "policyId": "a:p",
                "attributes": { "by": said, "n": [{ "m": format!("<{said}>") }] } })
        );
        assert_eq!(signal.headers().text("own").as_deref(), Some(said));
    };
    if let Ok(signal) = create(said) {
        check(said, &signal);
    }
    check("next", &create("next").expect("it is harmless"));
}

/// Definitions are read without a panic; each finding has a place, a reason and a remedy. What is used without an error can
/// map.
pub(crate) fn definitions(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let definitions = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(members)) => Value::Object(members),
        // Any text may stand in an option and in a condition.
        _ => json!({
            "n": { "mappingEngine": "Normalized", "options": { "fields": text } },
            "r": { "mappingEngine": "RawMessage", "options": { "outgoingContentType": text,
                "incomingMessageHeaders": { "ditto-message-subject": text, "ditto-message-thing-id": "a:b" } } },
            "c": { "mappingEngine": "ConnectionStatus", "options": { "thingId": text, "featureId": text } },
            "i": { "mappingEngine": "ImplicitThingCreation", "options": { "thing": { "thingId": text, "policyId": text, (text): 1 } } },
            "u": { "mappingEngine": "UpdateTwinWithLiveResponse", "options": { "dittoHeadersForMerge": { "x": text } },
                "incomingConditions": { "x": text }, "outgoingConditions": { "x": text } },
            (text): { "mappingEngine": text },
        }),
    };
    let mappings = Mappings::read(Some(&definitions), &Engines::default());
    for finding in mappings.findings(|_| true) {
        assert!(finding.pointer.starts_with("/mappingDefinitions"), "{finding}");
        assert!(!finding.reason.is_empty() && !finding.remedy.is_empty(), "{finding}");
    }
    let event =
        br#"{"topic":"a/b/things/twin/events/modified","path":"/attributes/x","value":1,"revision":1}"#;
    let event = Signal::decode(event.to_vec().into(), &Limits::default()).expect("a signal");
    let message = ExternalMessage::of_text(vec![("x".to_owned(), "y".to_owned())], text.to_owned());
    for (id, _) in definitions.as_object().into_iter().flatten() {
        match mappings.list(&[id], "/sources/0/payloadMapping") {
            Ok(list) => {
                let mut lane = LaneMappers::new(MappingLimits::default());
                let mut told = 0;
                lane.incoming(&list, &message, "c", |_, _| told += 1);
                lane.outgoing(&list, &OutgoingSignal::new(&event, Written::default(), &Nothing), |_, _| {
                    told += 1
                });
                assert!(told >= 2);
            }
            Err(findings) => assert_eq!(findings[0].pointer, "/sources/0/payloadMapping/0"),
        }
    }
}
