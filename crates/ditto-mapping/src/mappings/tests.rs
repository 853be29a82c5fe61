use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;

fn read(definitions: &Value) -> Mappings {
    Mappings::read(Some(definitions), &Engines::default())
}

#[track_caller]
fn check(definitions: Value, expected: Expect) {
    let findings = read(&definitions).findings(|_| true);
    expected.assert_eq(&findings.iter().map(|finding| format!("{finding}\n")).collect::<String>());
}

#[test]
fn each_finding_has_a_place_and_a_remedy() {
    check(
        json!({
            "n": { "mappingEngine": "Normalised", "options": {} },
            "o": { "mappingEngine": "Normalized", "options": { "feilds": "a", "fields": "a(" }, "option": {} },
            "c": { "mappingEngine": "ConnectionStatus", "options": { "thingId": "bad id", "featureId": 5 } },
            "d": { "mappingEngine": "ConnectionStatus", "options": { "thingId": "{{ thing:id }}" } },
            "i": { "mappingEngine": "ImplicitThingCreation", "options": {
                "thing": { "policyId": "bad id", "attributes": { "a/b": "{{ header:x | fn:lowre() }}" }, "own": 1 },
                "commandHeaders": [] } },
            "u": { "mappingEngine": "UpdateTwinWithLiveResponse", "options": { "dittoHeadersForMerge": { "if-match": "x" } } },
            "x": { "mappingEngine": "Ditto", "incomingConditions": { "a/b": "header:x", "c": 5 }, "outgoingConditions": [] },
            "y": {}, "z": 1, "w": { "mappingEngine": 5 },
        }),
        expect![[r#"
            error at /mappingDefinitions/n/mappingEngine: there is no mapping engine `Normalised`; did you mean `Normalized`?
            warning at /mappingDefinitions/o/option: `option` has no effect; did you mean `options`?
            warning at /mappingDefinitions/o/options/feilds: `feilds` has no effect; did you mean `fields`?
            error at /mappingDefinitions/o/options/fields: invalid field selector at byte 2: a parenthesis has no partner; write fields such as thingId,attributes(a,b)
            error at /mappingDefinitions/c/options/thingId: invalid id `bad id`: no colon after the namespace; write namespace:name, or {{ header:device_id }}
            warning at /mappingDefinitions/d/options/thingId: it cannot be resolved: placeholder `thing:id` has no value here; use a header of the message: header:name
            error at /mappingDefinitions/i/options/thing/thingId: it is missing; write "thing": {"thingId": "{{ header:device_id }}"}
            error at /mappingDefinitions/i/options/thing/policyId: invalid id `bad id`: no colon after the namespace; write namespace:name, or a placeholder
            warning at /mappingDefinitions/i/options/thing/own: it has no effect; leave it out; a new thing has thingId, policyId, definition, attributes, features, _policy, _copyPolicyFrom
            warning at /mappingDefinitions/i/options/thing/attributes/a~1b: it cannot be resolved: invalid placeholder at byte 14: there is no function `fn:lowre()`; did you mean `fn:lower()`?; mend the placeholder in the definition
            warning at /mappingDefinitions/i/options/commandHeaders: it is no object, and counts as absent; write an object, or leave it out
            error at /mappingDefinitions/u/options/dittoHeadersForMerge: header `if-match` is not a list of entity tags, or *: `x`; mend the header
            warning at /mappingDefinitions/x/incomingConditions/a~1b: the condition fails for each message: there is no function `header:x`; write functions such as fn:filter(header:x,'eq','y')
            warning at /mappingDefinitions/x/incomingConditions/c: the condition fails for each message: there is no function `5`; write functions such as fn:filter(header:x,'eq','y')
            error at /mappingDefinitions/x/outgoingConditions: `outgoingConditions` is not an object: `[]`; write an object, or leave it out
            error at /mappingDefinitions/y: `mappingEngine` is missing; write {"name": {"mappingEngine": "Normalized", "options": {}}}
            error at /mappingDefinitions/z: definition `z` is not an object; write {"name": {"mappingEngine": "Normalized", "options": {}}}
            error at /mappingDefinitions/w/mappingEngine: `mappingEngine` is not a string; write {"name": {"mappingEngine": "Normalized", "options": {}}}
        "#]],
    );
}

#[test]
fn what_is_not_named_is_only_warned_about() {
    let mappings = read(&json!({ "n": { "mappingEngine": "Nope" }, "d": { "mappingEngine": "Ditto" } }));
    let severities = |named: &str| {
        mappings.findings(|id| id == named).iter().map(|finding| finding.severity).collect::<Vec<_>>()
    };
    assert_eq!(severities("d"), [Severity::Warning]);
    assert_eq!(severities("n"), [Severity::Error]);
    assert!(mappings.list(&["d"], "").is_ok());
    let findings = read(&json!(5)).findings(|_| false);
    assert_eq!(findings[0].severity, Severity::Error);
}

#[track_caller]
fn check_list(definitions: Value, ids: &[&str], expected: Expect) {
    let text = match read(&definitions).list(ids, "/targets/0/payloadMapping") {
        Ok(list) => list.ids().map(|(id, _)| format!("{id}\n")).collect::<String>(),
        Err(findings) => findings.iter().map(|finding| format!("{finding}\n")).collect(),
    };
    expected.assert_eq(&text);
}

#[test]
fn lists_name_definitions_and_what_needs_none() {
    let own = json!({ "own": { "mappingEngine": "Ditto" }, "broken~": { "mappingEngine": "Nope" } });
    check_list(
        own.clone(),
        &[],
        expect![[r#"
        default
    "#]],
    );
    check_list(
        own.clone(),
        &["own", "Ditto", "Normalized", "RawMessage", "CloudEvents", "UpdateTwinWithLiveResponse", "own"],
        expect![[r#"
            own
            Ditto
            Normalized
            RawMessage
            CloudEvents
            UpdateTwinWithLiveResponse
            own
        "#]],
    );
    check_list(
        own,
        &["ditto", "ConnectionStatus", "ImplicitThingCreation", "JavaScript", "broken~", "own"],
        expect![[r#"
            error at /targets/0/payloadMapping/0: there is no payload mapper `ditto`; did you mean `Ditto`?
            error at /targets/0/payloadMapping/1: there is no payload mapper `ConnectionStatus`; it needs options: define it in `mappingDefinitions`, with `ConnectionStatus` as `mappingEngine`
            error at /targets/0/payloadMapping/2: there is no payload mapper `ImplicitThingCreation`; it needs options: define it in `mappingDefinitions`, with `ImplicitThingCreation` as `mappingEngine`
            error at /targets/0/payloadMapping/3: there is no payload mapper `JavaScript`; name one of own, CloudEvents, Ditto, Normalized, RawMessage, UpdateTwinWithLiveResponse
            error at /targets/0/payloadMapping/4: the definition of payload mapper `broken~` cannot be used; mend it at /mappingDefinitions/broken~0
        "#]],
    );
    check_list(
        json!({}),
        &["Ditto"; 11],
        expect![[r#"
        error at /targets/0/payloadMapping: 11 payload mappers are more than 10; name fewer
    "#]],
    );
}

#[test]
fn a_definition_comes_before_what_is_built_in() {
    let mappings = read(&json!({ "Ditto": { "mappingEngine": "Normalized" } }));
    let list = |id: &str| mappings.list(&[id], "").unwrap();
    assert_ne!(list("Ditto"), mappings.list::<&str>(&[], "").unwrap());
    assert!(format!("{:?}", list("Ditto").0[0].mapper).starts_with("Normalized"));
    // The class of the reference is as good as the short name.
    let class = "org.eclipse.ditto.connectivity.service.mapping.NormalizedMessageMapper";
    let mappings = read(&json!({ "n": { "mappingEngine": class } }));
    assert_eq!(mappings.findings(|_| true), []);
}

#[test]
fn lists_of_the_same_mappers_are_equal() {
    let mappings = read(&json!({ "a": { "mappingEngine": "Ditto" }, "b": { "mappingEngine": "Ditto" } }));
    let list = |ids: &[&str]| mappings.list(ids, "").unwrap();
    assert_eq!(list(&["a", "b"]), list(&["a", "b"]));
    assert_ne!(list(&["a", "b"]), list(&["b", "a"]));
    assert_ne!(list(&["a"]), list(&["a", "a"]));
}
