//! The vectors of the reference, and that the runner is strict.

#[path = "conformance/classes.rs"]
mod classes;

use std::path::Path;

use anyhow::Context;
use ditto_tests::conformance::{self, Row, Verdict};
use serde_json::{Value, json};

#[path = "conformance/exchange.rs"]
mod exchange;

fn vectors() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/vectors"))
}

#[test]
fn every_vector_passes_or_differs_on_purpose() -> anyhow::Result<()> {
    // Those that are requests have a test of their own.
    let report = conformance::run(vectors(), |file| !["http", "piggyback"].contains(&file))?;
    let findings: Vec<_> = report.files.iter().flat_map(|file| &file.findings).collect();
    let failed: Vec<_> = report.files.iter().flat_map(|file| &file.failed).collect();
    assert_eq!(failed, [""; 0], "{findings:#?}");
    for (file, rows) in [
        ("protocol", 247),
        ("topicpath", 79),
        ("entity-ids", 124),
        ("placeholders", 250),
        ("kafka-addresses", 54),
        ("connections", 174),
        ("policies", 174),
        ("rql", 284),
        ("topics", 93),
        ("mapping", 69),
        ("mapping-js", 45),
        ("mapping-other", 57),
        ("headers", 38),
        ("outbound", 64),
        ("acks", 55),
    ] {
        let found = report.files.iter().find(|report| report.file == file);
        let counted =
            found.map(|report| report.passed + report.failed.len() + report.known_differences.len());
        assert_eq!(counted, Some(rows), "{file}");
    }
    Ok(())
}

/// Each member of each expectation, changed or removed in turn, must make the row fail; so must each of what a class
/// expects instead.
#[test]
fn a_changed_expectation_fails() -> anyhow::Result<()> {
    let differences = conformance::Differences::of_project()?;
    let mut changed = 0;
    for file in [
        "protocol",
        "topicpath",
        "entity-ids",
        "placeholders",
        "kafka-addresses",
        "connections",
        "policies",
        "rql",
        "topics",
        "mapping",
        "mapping-js",
        "mapping-other",
        "headers",
        "outbound",
        "acks",
    ] {
        let driver = conformance::driver(file).expect("driven above");
        for row in conformance::load(&vectors().join(format!("{file}.ndjson")))? {
            let ours = differences.expectation(file, &row.json);
            let expected = ours.as_ref().unwrap_or(&row.json["expect"]);
            let answer = conformance::answer(driver, &row);
            for place in places(expected) {
                let of = |name: &&str| place.split('/').nth(1) == Some(*name);
                let informative = driver.rules.informative.iter().any(of);
                let breaks = ["error", "roundtripError"].iter().any(|member| {
                    let code = expected[member]["code"].as_str();
                    place.starts_with(&format!("/{member}"))
                        && code.is_some_and(|code| code.starts_with("java:"))
                });
                if informative
                    || breaks
                    || is_text_of_error(expected, &place)
                    || file == "connections" && is_not_said(expected, &place)
                    || expected.get("validationError").is_some() && !place.starts_with("/validationError")
                {
                    continue;
                }
                for mutant in [with_other(expected, &place), without(expected, &place)].into_iter().flatten()
                {
                    changed += 1;
                    let passes = if ours.is_some() {
                        driver.findings(&mutant, &answer).is_empty()
                    } else {
                        let mut row = row.clone();
                        row.json["expect"] = mutant;
                        let verdict = conformance::judge(file, driver, &row, &answer, &differences);
                        !matches!(verdict, Verdict::Failed(_))
                    };
                    assert!(!passes, "{file} {} passes with {place} changed", row.id);
                }
            }
        }
    }
    assert!(changed > 6_000, "only {changed} members were changed");
    Ok(())
}

/// What the rules leave open in a row about a connection: all but the culprit where the reference breaks, our texts, and
/// secrets.
fn is_not_said(expected: &Value, place: &str) -> bool {
    let breaks = expected["internal_error"] == true || expected["http_status"] == 408;
    let secret = ["/normalized/credentials/password", "/normalized/credentials/key"].contains(&place);
    breaks && place != "/ok" || secret || place == "/mentions" || place == "/has_description"
}

/// Whether it is a text of an error of a mapper, or the class of what the reference threw.
fn is_text_of_error(expected: &Value, place: &str) -> bool {
    let Some((parent, name)) = place.rsplit_once('/') else { return false };
    let forms = ["/mapperThrows", "/configError", "/validationError", "/refused", "/notServed"];
    let is_error = forms.iter().any(|form| parent.ends_with(form))
        || expected.pointer(parent).is_some_and(|it| it["outcome"] == "error");
    is_error && ["message", "description", "exception"].contains(&name)
}

/// The value with another one at `place`; `None` where any text will do.
fn with_other(value: &Value, place: &str) -> Option<Value> {
    let mut mutant = value.clone();
    let at = mutant.pointer_mut(place)?;
    *at = match &*at {
        Value::String(text) if text == "<text>" || text == "<value>" => return None,
        Value::String(text) => json!(format!("{text}x")),
        Value::Bool(value) => json!(!*value),
        Value::Number(number) => json!(number.as_f64().unwrap_or_default() * 2.0 + 1e6),
        _ => json!("something else"),
    };
    Some(mutant)
}

/// The value without what is at `place`; `None` where that need not be said.
fn without(value: &Value, place: &str) -> Option<Value> {
    if place == "/error/status" || place.starts_with("/mentions/") {
        return None;
    }
    let (parent, name) = place.rsplit_once('/')?;
    let mut mutant = value.clone();
    match mutant.pointer_mut(parent)? {
        Value::Array(elements) => elements.remove(name.parse().ok()?),
        parent => parent.as_object_mut()?.shift_remove(&name.replace("~1", "/").replace("~0", "~"))?,
    };
    Some(mutant)
}

/// Rows that are not among the vectors, with what the reference answers to them.
#[test]
fn a_class_names_rows_that_nobody_has_seen() -> anyhow::Result<()> {
    let thing = "a/b/things";
    let live = json!({ "channel": "live" });
    let broken = |code: &str| [("/roundtrip", Value::Null), ("/roundtripError", json!({ "code": code }))];
    let ack = json!({ "topic": format!("{thing}/live/acks/c:abc"), "path": "/", "status": 200 });
    let acks = json!({ "topic": format!("{thing}/live/acks"), "path": "/x", "status": 424,
        "value": { "c:abc": { "status": 404, "headers": { "response-required": false } } } });
    let twin = |subject: &str, header: Value| {
        vec![("/channelHeader", header), ("/roundtrip/topic", json!(format!("{thing}/twin/acks{subject}")))]
    };
    let written_at = |path: &str| [("/resourcePath", json!(path)), ("/roundtrip/path", json!(path))];
    let path = |message: Value, path: &str| {
        (message, [("/path", json!(path))].into_iter().chain(written_at(path)).collect())
    };
    let mut with_header = ack.clone();
    with_header["headers"] = json!({ "Channel": "twin" });
    let rows = [
        (ack.clone(), twin("/c:abc", Value::Null)),
        (json!(ack.to_string()), twin("/c:abc", Value::Null)),
        (acks, twin("", Value::Null)),
        (with_header, twin("/c:abc", json!("twin"))),
        path(
            json!({ "topic": format!("{thing}/twin/events/modified"), "path": "/attributes/a~1b/", "value": 1,
                "revision": 1 }),
            "/attributes/a~01b",
        ),
        path(
            json!({ "topic": format!("{thing}/live/messages/x"), "path": "features/~/inbox/messages/x", "value": "x",
                "headers": { "content-type": "text/plain" } }),
            "/features/~0/inbox/messages/x",
        ),
        (
            json!({ "topic": "a/b/policies/events/created", "path": "/entries/e/resources/thing:/x", "revision": 1,
                "value": { "grant": [], "revoke": [] }, "headers": { "channel": "twin" } }),
            written_at("/entries/e/resources/x").to_vec(),
        ),
        (
            json!({ "topic": "a/b/policies/commands/delete", "path": "/entries/e/resources/thing:~1" }),
            [("/path", json!("/entries/e/resources/thing:~01"))]
                .into_iter()
                .chain(written_at("/entries/e/resources/thing:/~01"))
                .collect(),
        ),
        (
            json!({ "topic": "a/b/policies/streaming/subscribeForPersistedEvents", "path": "/" }),
            broken("java:IllegalStateException").to_vec(),
        ),
        (
            json!({ "topic": "_/_/things/live/search/subscribe", "path": "/x", "fields": "thingId",
                "value": { "filter": "exists(thingId)" } }),
            broken("protocoladapter:unknown.channel").to_vec(),
        ),
        (
            json!({ "topic": "a/b/policies/commands/modify", "path": "/", "headers": live,
                "value": { "policyId": "a:b", "entries": { "e": {} } } }),
            broken("protocoladapter:unknown.channel").to_vec(),
        ),
        (
            json!({ "topic": "a/b/policies/events/modified", "path": "/entries/e/resources/thing:/x~y", "headers": live,
                "value": { "grant": [], "revoke": [] }, "revision": 1, "timestamp": "2024-05-06T07:08:09Z" }),
            [
                ("/path", json!("/entries/e/resources/thing:/x~0y")),
                ("/resourcePath", json!("/entries/e/resources/x~0y")),
            ]
            .into_iter()
            .chain(broken("protocoladapter:unknown.channel"))
            .collect(),
        ),
    ];
    for (message, changes) in rows {
        check_class(&message, |answer| {
            for (place, value) in &changes {
                match answer.pointer_mut(place) {
                    Some(at) => *at = value.clone(),
                    None => answer[place.trim_start_matches('/')] = value.clone(),
                }
            }
            if answer["roundtrip"].is_null() {
                answer.as_object_mut().expect("an object").shift_remove("roundtrip");
            }
        })?;
    }
    for (subject, value, content_type) in [
        ("a~1b", json!("YQ"), None),
        ("~", json!("no base64"), None),
        ("a/~0", json!({ "k": [1] }), Some("application/json; charset=utf-8")),
    ] {
        for (at, status) in [("", None), ("/features/~", Some(200))] {
            let mut message = json!({ "topic": format!("{thing}/live/messages/{subject}"),
                "path": format!("{at}/outbox/messages/{subject}"), "value": value, "status": status });
            if let Some(content_type) = content_type {
                message["headers"] = json!({ "content-type": content_type });
            }
            check_class(&message, |answer| {
                *answer = json!({ "error": { "code": "protocoladapter:invalid.path", "status": 400 } });
            })?;
        }
    }
    Ok(())
}

/// Filters that are not among the vectors, with what the reference answers to them.
#[test]
fn a_class_names_filters_that_nobody_has_seen() -> anyhow::Result<()> {
    let driver = conformance::driver("rql").context("rql is driven")?;
    let differences = conformance::Differences::of_project()?;
    let check = |row: &Value| {
        conformance::check("rql", driver, &Row { id: "x".to_owned(), json: row.clone() }, &differences)
    };
    let event = |action: &str, path: &str, value: Value| json!({ "topic": format!("a/b/things/twin/events/{action}"), "path": path, "value": value, "revision": 1 });
    let dropped = json!({ "candidate": false });
    let never = json!({ "candidate": false, "match": false, "matchIgnoringCandidate": false });
    let later = json!({ "candidate": false, "match": false, "matchIgnoringCandidate": true });
    let attribute = event("modified", "/attributes/n", json!(1));
    let extra = json!({ "policyId": "a:p", "features": { "lamp": { "properties": { "on": true } } } });
    for (filter, signal, extra_fields, expected, ours) in [
        ("eq(policyId,\"a:p\")", &attribute, "thingId,policyId", &later, [true, true]),
        ("not(exists(policyId))", &attribute, "policyId", &never, [true, false]),
        (
            "like(features/lamp/properties/on,\"t*\")",
            &attribute,
            "features/lamp/properties",
            &later,
            [true, true],
        ),
        ("exists(features/lamp)", &attribute, "features/*", &later, [true, true]),
        (
            "exists(features/f/definition)",
            &event("created", "/features/f/definition", json!(["a:b:1"])),
            "",
            &dropped,
            [true; 2],
        ),
        (
            "not(eq(feature:id,\"x\"))",
            &event("deleted", "/features/f/definition", Value::Null),
            "",
            &dropped,
            [true; 2],
        ),
    ] {
        let mut row = json!({ "mode": "signal", "filter": filter, "signal": signal, "expect": expected });
        if !extra_fields.is_empty() {
            row["extraFields"] = extra_fields.into();
            row["extra"] = extra.clone();
        }
        assert_eq!(check(&row), Verdict::KnownDifference, "{row}");
        let answer = (driver.run)(&row);
        assert_eq!(answer["candidate"], ours[0], "{row}");
        assert!(extra_fields.is_empty() || answer["match"] == ours[1], "{row}");
    }
    // What the reference sees is compared with it.
    let row = json!({ "mode": "signal", "filter": "eq(attributes/site,1)", "signal": attribute, "extraFields": "attributes/site",
        "extra": {}, "expect": never });
    assert!(matches!(check(&row), Verdict::Failed(_)));
    Ok(())
}

/// Rows about policies that are not among the vectors, with what the reference answers to them.
#[test]
fn a_class_names_readers_that_nobody_has_seen() -> anyhow::Result<()> {
    let driver = conformance::driver("policies").context("policies is driven")?;
    let differences = conformance::Differences::of_project()?;
    let entry = |subject: &str, expiry: &str, resources: &[(&str, &str)]| {
        let resources: serde_json::Map<_, _> = resources
            .iter()
            .map(|(key, effect)| {
                let mut permissions = json!({ "grant": [], "revoke": [] });
                permissions[*effect] = json!(["READ"]);
                ((*key).to_owned(), permissions)
            })
            .collect();
        json!({ "subjects": { subject: { "type": "t", "expiry": expiry } }, "resources": resources })
    };
    let later = "2999-01-01T00:00:00Z";
    let policy = |entries: Value| json!({ "policyId": "a:p", "entries": entries });
    let expired = policy(json!({
        "a": entry("i:a", "2001-01-01T00:00:00Z", &[("thing:/", "grant")]),
        "b": entry("i:b", later, &[("thing:/", "grant")]),
    }));
    let check = |subject: &str| {
        json!({ "kind": "check", "policy": expired, "subjects": [subject], "resource": "thing:/",
        "permissions": ["READ"], "expect": { "unrestricted": true, "partial": true } })
    };
    let parts = policy(json!({
        "o": entry("i:o", later, &[("thing:/", "grant")]),
        "r": entry("i:r", later, &[("thing:/attributes/a", "grant"), ("thing:/attributes/a/x", "revoke")]),
    }));
    let thing = json!({ "thingId": "a:t", "attributes": { "a": { "x": 1, "y": 2 }, "b": 3 } });
    let event = |action: &str, path: &str, value: Value, extra: Option<Value>, theirs: Value| {
        let mut row = json!({ "kind": "thing-event-read-subjects", "policy": parts, "thing": thing,
            "targetSubjects": ["i:r"],
            "signal": { "topic": format!("a/t/things/twin/events/{action}"), "path": path, "revision": 1, "value": value },
            "expect": { "readSubjects": ["i:o", "i:r"], "revokedSubjects": [], "targetAuthorized": true,
                "partialAccessPaths": { "i:r": ["/attributes/a/y"] },
                "partialAccessHeader": { "subjects": ["i:r"], "paths": { "attributes/a/y": [0] } },
                "payloadPath": path, "payloadValue": theirs } });
        if let Some(extra) = extra {
            row["extra"] = extra.clone();
            row["expect"]["payloadExtra"] = extra;
        }
        row
    };
    let nothing = || json!({});
    for (row, place, ours) in [
        (check("i:a"), "unrestricted", json!(false)),
        (check("i:b"), "unrestricted", json!(true)),
        (
            event("merged", "/", json!({ "attributes": null }), None, nothing()),
            "payloadValue",
            json!({ "attributes": null }),
        ),
        (
            event("merged", "/attributes", json!({ "b": 1, "a": 7 }), None, nothing()),
            "payloadValue",
            json!({ "a": 7 }),
        ),
        (event("merged", "/attributes", json!(4), None, nothing()), "payloadValue", Value::Null),
        (
            event("modified", "/attributes/a", json!({ "x": 1, "n": [{ "x": 1 }] }), None, nothing()),
            "payloadValue",
            json!({ "n": [{ "x": 1 }] }),
        ),
        (event("created", "/attributes/a/new", json!(1), None, nothing()), "payloadValue", json!(1)),
        (
            event("modified", "/attributes/a/y", json!(1), Some(json!({ "policyId": "a:p" })), json!(1)),
            "payloadExtra",
            nothing(),
        ),
    ] {
        let row = Row { id: "x".to_owned(), json: row };
        let verdict = conformance::check("policies", driver, &row, &differences);
        assert_eq!(verdict, Verdict::KnownDifference, "{}", row.json);
        assert_eq!((driver.run)(&row.json)[place], ours, "{}", row.json);
    }
    // Where the reference is right it is compared with.
    let wrong = event("modified", "/attributes/a/y", json!(1), None, json!(2));
    let verdict =
        conformance::check("policies", driver, &Row { id: "x".to_owned(), json: wrong }, &differences);
    assert!(matches!(verdict, Verdict::Failed(_)));
    Ok(())
}

/// Definitions that are not among the vectors, with what the reference answers to them.
#[test]
fn a_class_names_definitions_that_nobody_has_seen() -> anyhow::Result<()> {
    let driver = conformance::driver("connections").context("connections is driven")?;
    let differences = conformance::Differences::of_project()?;
    let verdict = |row: &Value| {
        conformance::check(
            "connections",
            driver,
            &Row { id: "x".to_owned(), json: row.clone() },
            &differences,
        )
    };
    let accepted = json!({ "ok": true, "http_status": 200, "inner_status": 201, "normalized": {} });
    let refused = |code: &str| json!({ "ok": false, "http_status": 200, "inner_status": 400, "error": code });
    let invalid = "connectivity:connection.configuration.invalid";
    let events = "_/_/things/twin/events";
    for (uri, servers, topic, theirs, is_ours_ok) in [
        ("tcp://:@h:1", "h:1", events, &accepted, false),
        ("ssl://user:@h:1/x", "h:1", events, &accepted, false),
        ("tcp://u:1/secret@h:1", "h:1", events, &accepted, false),
        ("tcp://u:p@h:70000", "h:1", events, &accepted, false),
        ("tcp://h:1", "h:60001 , i.j:1", events, &refused(invalid), true),
        ("tcp://h:1", "h:1, ,", events, &refused(invalid), true),
        ("tcp://h:1", "h:00", events, &accepted, false),
        ("tcp://h:1", "h:1i:2", events, &accepted, false),
        (
            "tcp://h:1",
            "h:1",
            "_/_/things/live/events?extraFields=attributes/a&filter=eq(attributes/b,%22%2B%25%22)&x=1",
            &accepted,
            true,
        ),
        (
            "tcp://h:1",
            "h:1",
            "_/_/things/twin/events?namespaces=n&filter=eq(attributes/b,%22a%26b=c%22)",
            &refused("rql.expression.invalid"),
            true,
        ),
    ] {
        let body = json!({
            "id": "c", "name": "n", "connectionType": "kafka", "connectionStatus": "closed", "uri": uri,
            "specificConfig": { "bootstrapServers": servers },
            "targets": [{ "address": "t", "topics": [topic], "authorizationContext": ["a:b"] }],
        });
        let mut row = json!({ "request": { "via": "piggyback-create", "body": body }, "expect": theirs });
        assert_eq!(verdict(&row), Verdict::KnownDifference, "{row}");
        assert_eq!((driver.run)(&row)["ok"], is_ours_ok, "{row}");
        // Whatever else is wrong with it is found all the same.
        row["request"]["body"]["clientCount"] = json!("1");
        assert!(matches!(verdict(&row), Verdict::Failed(_)), "{row}");
    }
    Ok(())
}

/// Messages for payload mappers that are not among the vectors, with what the reference answers to them.
#[test]
fn a_class_names_messages_that_nobody_has_seen() -> anyhow::Result<()> {
    let differences = conformance::Differences::of_project()?;
    let check = |file: &str, given: Value, change: &dyn Fn(&mut Value)| -> anyhow::Result<Value> {
        let driver = conformance::driver(file).context("mappers are driven")?;
        let mut row = json!({ "given": given });
        let ours = (driver.run)(&row);
        row["expect"] = ours.clone();
        change(&mut row["expect"]);
        let row = Row { id: "x".to_owned(), json: row };
        let verdict = conformance::check(file, driver, &row, &differences);
        assert_eq!(verdict, Verdict::KnownDifference, "{}: {ours}", row.json);
        Ok(ours)
    };
    let creation = |thing: Value, headers: Value, inputs: Value| {
        json!({ "mapper": { "engine": "ImplicitThingCreation", "options": { "thing": thing, "commandHeaders": headers } },
            "direction": "in", "inputs": inputs })
    };
    let record = |headers: Value| json!({ "headers": headers, "valueText": "x" });
    // A quote within an attribute ends the text of it; a line break is no JSON at all.
    let thing = json!({ "thingId": "a:{{ header:id }}", "attributes": { "l": ["{{ header:l }}", 1] } });
    let hostile = [r#"","features":{},"x":""#, "back\\slash", "two\nlines"];
    for value in hostile {
        let inputs =
            json!([record(json!({ "id": "t", "l": "fine" })), record(json!({ "id": "t", "l": value }))]);
        let ours = check("mapping-other", creation(thing.clone(), json!({}), inputs), &|expected| {
            expected["results"][1] = json!({ "outcomes": [{ "outcome": "error", "error": "json.invalid", "status": 400,
                "message": "<text>", "topicPath": null }] });
        })?;
        let value_of = |at: &str| ours.pointer(&format!("/results/1{at}/value/attributes/l/0")).cloned();
        assert_eq!(value_of("/outcomes/0/signal"), Some(json!(value)));
        assert_eq!(value_of("/mapperOutput/0"), Some(json!(value)));
    }
    let headers =
        json!({ "x-first": "{{ header:f }}-{{ request:subjectId }}", "if-none-match": "{{ header:none }}" });
    let inputs = json!([
        record(json!({ "id": "t1", "l": "1", "f": "one" })),
        record(json!({ "id": "t2", "l": "2" })),
        record(json!({ "id": "t3", "l": "3", "f": "three" })),
    ]);
    check("mapping-other", creation(thing, headers, inputs), &|expected| {
        for n in 1..3 {
            expected["results"][n]["outcomes"][0]["signal"]["dittoHeaders"]["x-first"] =
                json!("one-integ:gateway");
            expected["results"][n]["mapperOutput"][0]["headers"]["x-first"] = json!("one-integ:gateway");
        }
    })?;
    let status = json!({ "mapper": { "engine": "ConnectionStatus", "options": { "thingId": "a:b", "featureId": "f" } },
        "direction": "in", "input": record(json!({ "creation-time": i64::MAX.to_string(), "ttd": "1" })) });
    check("mapping-other", status, &|expected| {
        let result = &mut expected["results"][0];
        let past = json!("-292275055-05-16T16:47:05.192Z");
        result["outcomes"][0]["signal"]["value"]["properties"]["status"]["readyUntil"] = past.clone();
        result["mapperOutput"][0]["value"]["properties"]["status"]["readyUntil"] = past;
    })?;
    let event = |engine: &str| {
        json!({ "mapper": { "engine": engine }, "direction": "out", "input": { "ditto": {
            "topic": "a/b/things/twin/events/modified", "path": "/attributes/x~0y", "value": 1, "revision": 1,
            "timestamp": "2026-03-04T05:06:07Z" } } })
    };
    // In the reference neither of these scripts is one.
    let call =
        "Ditto.buildDittoProtocolMsg('a','b','things','twin','commands','modify','/attributes/v',{'x':'y'},";
    for (body, value) in [
        ("const {a, ...r} = {a: 1, b: 2}; return PUTr.b);", json!(2)),
        ("class P {} class Q extends P { get n() { return 'q'; } } return PUTnew Q().n);", json!("q")),
        ("function d(n) { return n ? 1 + d(n - 1) : 0; } return PUTd(26));", json!(26)),
    ] {
        let script = format!("function mapToDittoProtocolMsg(){{{}}}", body.replace("PUT", call));
        let given = json!({ "mapper": { "engine": "JavaScript", "options": { "incomingScript": script } },
            "direction": "in", "input": record(json!({})) });
        let refused = json!({ "configError": { "error": "connectivity:message.mapper.config.failed", "status": 400,
            "message": "<text>" } });
        let ours = check("mapping-js", given, &|expected| *expected = refused.clone())?;
        assert_eq!(ours["results"][0]["mapperOutput"][0]["value"], value);
    }
    let escaped = json!("/attributes/x~00y");
    for (file, engine, place) in [
        ("mapping", "Ditto", "/path"),
        ("mapping", "Normalized", "/_context/path"),
        ("mapping-other", "CloudEvents", "/data/path"),
    ] {
        let mut given = event(engine);
        given["input"]["ditto"]["headers"] = json!({ "correlation-id": "c" });
        check(file, given, &|expected| {
            let message = &mut expected["results"][0]["outcomes"][0]["message"]["textJson"];
            if let Some(path) = message.pointer_mut(place) {
                *path = escaped.clone();
            }
        })?;
    }
    Ok(())
}

/// Our answer to `message`, made that of the reference by `change`, is a known difference; one that is changed anywhere
/// else is none.
#[track_caller]
fn check_class(message: &Value, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
    let driver = conformance::driver("protocol").context("protocol is driven")?;
    let differences = conformance::Differences::of_project()?;
    let check = |expected: &Value| {
        let json = json!({ "kind": "message", "message": message, "expect": expected });
        conformance::check("protocol", driver, &Row { id: "x".to_owned(), json }, &differences)
    };
    let ours = (driver.run)(&json!({ "kind": "message", "message": message }));
    assert_eq!(ours.get("error"), None, "{message}");
    let mut theirs = ours.clone();
    change(&mut theirs);
    assert_eq!(check(&theirs), Verdict::KnownDifference, "{message}");
    for place in places(&theirs).iter().filter(|place| theirs.pointer(place) == ours.pointer(place)) {
        for mutant in [with_other(&theirs, place), without(&theirs, place)].into_iter().flatten() {
            let verdict = check(&mutant);
            assert!(matches!(verdict, Verdict::Failed(_)), "{message} passes with {place} changed");
        }
    }
    Ok(())
}

/// JSON pointers of all leaves and of all containers below the root.
fn places(value: &Value) -> Vec<String> {
    let mut places = Vec::new();
    let mut open = vec![(String::new(), value)];
    while let Some((at, value)) = open.pop() {
        if !at.is_empty() {
            places.push(at.clone());
        }
        match value {
            Value::Object(members) => open.extend(members.iter().map(|(name, value)| {
                (format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), value)
            })),
            Value::Array(elements) => {
                open.extend(elements.iter().enumerate().map(|(n, value)| (format!("{at}/{n}"), value)));
            }
            _ => {}
        }
    }
    places
}
