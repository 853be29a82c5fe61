//! Connections that are not among the vectors, with what the reference answers to them.

use anyhow::Context;
use ditto_tests::conformance::{self, Differences, Row, Verdict};
use serde_json::{Value, json};

use crate::{places, with_other, without};

const EVENTS: &str = "_/_/things/twin/events";

fn target(address: &str, topic: &str, label: &str, mappers: &[&str]) -> Value {
    json!({ "address": address, "topics": [topic], "authorizationContext": ["integ:reader"],
        "issuedAcknowledgementLabel": format!("conn-a:{label}"), "payloadMapping": mappers })
}

fn given(targets: &[Value], signal: &Value) -> Value {
    let script = "function mapFromDittoProtocolMsg(){ throw 'x'; }";
    let mapper = json!({ "mappingEngine": "JavaScript", "options": { "incomingScript": "", "outgoingScript": script } });
    json!({ "connection": {
            "id": "conn-a", "name": "n", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://k:9092",
            "specificConfig": { "bootstrapServers": "k:9092" }, "targets": targets, "mappingDefinitions": { "js": mapper },
        }, "context": {}, "signal": signal })
}

fn event(path: &str, value: Value, requested: &[&str]) -> Value {
    let requested: Vec<_> = requested.iter().map(|label| format!("conn-a:{label}")).collect();
    json!({ "ditto": { "topic": "a/b/things/twin/events/modified", "path": path, "value": value, "revision": 3,
            "headers": { "correlation-id": "c", "requested-acks": requested } },
        "internalHeaders": { "ditto-read-subjects": "[\"integ:reader\"]" } })
}

/// Our answer, made that of the reference by `change`, is a known difference; one that is changed anywhere else is none.
#[track_caller]
fn check(given: &Value, change: impl FnOnce(&mut Value)) -> anyhow::Result<Value> {
    let driver = conformance::driver("outbound").context("outbound is driven")?;
    let differences = Differences::of_project()?;
    let row =
        |expected: &Value| Row { id: "x".to_owned(), json: json!({ "given": given, "expect": expected }) };
    let ours = conformance::answer(driver, &row(&Value::Null));
    let judge =
        |expected: &Value| conformance::judge("outbound", driver, &row(expected), &ours, &differences);
    let mut theirs = ours.clone();
    change(&mut theirs);
    assert_eq!(judge(&theirs), Verdict::KnownDifference, "{given}: {ours}");
    // Of a group that is another one in our answer, the status follows from the single ones.
    let follows = |place: &str| {
        let group = place.strip_suffix("/status").map(|group| format!("{group}/acks"));
        group.is_some_and(|acks| theirs.pointer(&acks) != ours.pointer(&acks))
    };
    let same = |place: &String| theirs.pointer(place) == ours.pointer(place) && !follows(place);
    for place in places(&theirs).into_iter().filter(same) {
        for mutant in [with_other(&theirs, &place), without(&theirs, &place)].into_iter().flatten() {
            // Our own texts.
            if !["/entity", "/message", "/description"].iter().any(|name| place.ends_with(name)) {
                assert!(matches!(judge(&mutant), Verdict::Failed(_)), "{given} passes with {place} changed");
            }
        }
    }
    Ok(ours)
}

/// The answer of the reference where we refuse.
fn published(topic: &str) -> Value {
    json!({ "records": [{ "topic": topic }], "acknowledgements": [] })
}

#[test]
fn addresses_and_mappers_that_fail() -> anyhow::Result<()> {
    let failing = target("t/{{ feature:id | fn:upper() }}", EVENTS, "two", &[]);
    let targets = [target("s/k", EVENTS, "one", &[]), failing];
    let ours = check(&given(&targets, &event("/attributes/x", json!(1), &["one", "two"])), |theirs| {
        theirs["acknowledgements"][0]["acks"].as_array_mut().unwrap().pop();
        theirs["acknowledgements"][0]["status"] = 204.into();
    })?;
    assert_eq!(ours["acknowledgements"][0]["status"], 424);
    let targets = [target("s", EVENTS, "one", &["js", "Ditto"])];
    let ours = check(&given(&targets, &event("/attributes/x", json!(1), &["one"])), |theirs| {
        theirs["acknowledgements"][0]["acks"].as_array_mut().unwrap().remove(0);
        theirs["acknowledgements"][0]["status"] = 204.into();
    })?;
    assert_eq!(ours["acknowledgements"][0]["acks"][0]["status"], 400);
    // Its client has no code.
    check(
        &given(&[target("s#-2", EVENTS, "one", &[])], &event("/attributes/x", json!(1), &["one"])),
        |theirs| {
            theirs["acknowledgements"][0]["acks"][0]["entity"].as_object_mut().unwrap().shift_remove("error");
        },
    )?;
    Ok(())
}

#[test]
fn what_others_may_see() -> anyhow::Result<()> {
    let announcement = json!({ "ditto": { "topic": "a/p/policies/announcements/subjectDeletion", "path": "/",
            "value": { "deleteAt": "2026-01-01T00:00:00Z", "subjectIds": ["integ:reader"] },
            "headers": { "correlation-id": "c", "requested-acks": ["conn-a:one", "conn-a:two"] } }, "internalHeaders": {} });
    let topic = "_/_/policies/announcements";
    let mut other = target("t", topic, "two", &[]);
    other["authorizationContext"] = json!(["integ:other"]);
    check(&given(&[target("s", topic, "one", &[]), other], &announcement), |theirs| {
        let mut second = theirs["records"][0].clone();
        second["topic"] = "t".into();
        theirs["records"].as_array_mut().unwrap().push(second);
        let mut told = theirs["acknowledgements"][1]["acks"][0].clone();
        told["label"] = "conn-a:two".into();
        let one = theirs["acknowledgements"][1]["acks"][0].take();
        theirs["acknowledgements"] = json!([{ "status": 200, "acks": [one, told] }]);
    })?;
    let mut partial = event("/attributes", json!({ "pub": 1, "attributes": { "pub": 2 }, "x": 3 }), &["one"]);
    partial["internalHeaders"]["ditto-partial-access-paths"] =
        r#"{"subjects":["integ:reader"],"paths":{"attributes/pub":[0]}}"#.into();
    let ours = check(&given(&[target("s", EVENTS, "one", &[])], &partial), |theirs| {
        theirs["records"][0]["valueJson"]["value"] = json!({ "attributes": { "pub": 2 } });
    })?;
    assert_eq!(ours["records"][0]["valueJson"]["value"], json!({ "pub": 1 }));
    let mut mapped = target("s", EVENTS, "one", &[]);
    mapped["headerMapping"] = json!({ "p": "{{ resource:path }}" });
    check(&given(&[mapped], &event("/attributes/x~0y", json!(1), &["one"])), |theirs| {
        let path = json!("/attributes/x~00y");
        theirs["records"][0]["valueJson"]["path"] = path.clone();
        theirs["records"][0]["headers"]["p"] = path;
    })?;
    Ok(())
}

#[test]
fn what_is_refused() -> anyhow::Result<()> {
    let signal = event("/attributes/x", json!(1), &["one"]);
    let replaced = |theirs: &mut Value| *theirs = published("s");
    let ours = check(
        &given(&[target("s", EVENTS, "one", &[]), target("t", EVENTS, "one", &[])], &signal),
        replaced,
    )?;
    assert_eq!(ours["refused"]["status"], 409);
    let mut foreign = target("s", EVENTS, "one", &[]);
    foreign["issuedAcknowledgementLabel"] = "conn-b:one".into();
    let ours = check(&given(&[foreign], &signal), replaced)?;
    assert_eq!(ours["refused"]["error"], "acknowledgement:label.invalid");
    let mut checked = given(&[target("s#-2", EVENTS, "one", &[])], &signal);
    checked["validate"] = true.into();
    let ours = check(&checked, replaced)?;
    assert_eq!(ours["validationError"]["error"], "connectivity:connection.configuration.invalid");
    let mut sourced = given(&[target("s", EVENTS, "one", &[])], &signal);
    sourced["connection"]["sources"] = json!([{ "addresses": ["i"], "authorizationContext": ["x:y"], "declaredAcks": ["{{connection:id}}:src"] }]);
    // Who gets it acknowledges to the source, whoever consumes that.
    let driver = conformance::driver("outbound").expect("outbound is driven");
    sourced["signal"] = event("/attributes/x", json!(1), &["src", "other"]);
    let record = &(driver.run)(&json!({ "given": sourced }))["records"][0];
    assert_eq!(
        (&record["topic"], &record["valueJson"]["headers"]["requested-acks"]),
        (&json!("s"), &json!(["conn-a:src"]))
    );
    // What answers a message of the source is published where that is consumed.
    sourced["signal"] = json!({
        "ditto": { "topic": "a/b/things/twin/errors", "headers": { "correlation-id": "e" }, "path": "/", "status": 404,
            "value": { "status": 404, "error": "things:thing.notfound", "message": "m" } },
        "internalHeaders": { "ditto-reply-target": "0", "ditto-expected-response-types": "[\"error\"]" },
    });
    let published = |theirs: &mut Value| theirs["records"] = json!([{ "topic": "back", "key": null }]);
    assert_eq!(check(&sourced, published)?, json!({ "records": [], "acknowledgements": [] }));
    Ok(())
}
