//! `eval`: expressions tried on signals and things.

#![expect(clippy::unwrap_used, reason = "a test: a panic is its answer")]

use ditto_tests::service::Setup;
use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// A folder with an event, its thing, and a feed of the event, a message, and what is no signal.
fn setup() -> anyhow::Result<Setup> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let event = json!({
        "topic": "org.acme/press-4/things/twin/events/modified", "headers": {"tags": "hot,new", "p": "a b"},
        "path": "/features/motor/properties/rpm", "value": 1480, "revision": 42,
    });
    let message = json!({"topic": "org.acme/press-4/things/live/messages/start", "headers": {}, "path": "/inbox/messages/start"});
    let recorded = json!({"headers": [["x", "y"]], "value": event.to_string()});
    setup.write("event.json", format!("{event:#}"))?;
    setup.write("feed.ndjson", format!("{event}\n\n{message}\nnonsense\n{recorded}\n"))?;
    let thing = json!({
        "thingId": "org.acme:press-4", "attributes": {"site": "north"},
        "features": {"motor": {"properties": {"rpm": 900}}, "lamp": {"definition": ["x:y:1"]}},
    });
    setup.write("thing.json", thing.to_string())?;
    Ok(setup)
}

/// What it prints, on stdout and then on stderr.
#[track_caller]
fn check(args: &[&str], code: u8, expected: Expect) {
    let ended = setup().and_then(|setup| setup.execute(&[&["eval"], args].concat())).unwrap();
    ended.expect_code(code).unwrap();
    expected.assert_eq(&(ended.stdout + &ended.stderr));
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const FILTER: &str = "and(gt(features/motor/properties/rpm,1000),eq(attributes/site,'north'))";

#[test]
fn a_filter_alone_is_printed_as_it_is_understood() {
    check(
        &["rql", FILTER],
        0,
        expect![[r#"
        filter: and(gt(features/motor/properties/rpm,1000),eq(attributes/site,"north"))
    "#]],
    );
}

#[test]
fn a_filter_on_a_thing() {
    check(
        &["rql", FILTER, "--thing", "thing.json"],
        0,
        expect![[r#"
        filter: and(gt(features/motor/properties/rpm,1000),eq(attributes/site,"north"))
        matches: false
          false   and
          false     gt(features/motor/properties/rpm,1000)  <- 900
          true      eq(attributes/site,"north")  <- "north"
    "#]],
    );
}

#[test]
fn a_filter_before_and_after_the_enrichment() {
    let fields = ["--extra-fields", "attributes/site"];
    check(
        &[&["rql", FILTER, "--signal", "event.json"], &fields[..]].concat(),
        0,
        expect![[r#"
        filter: and(gt(features/motor/properties/rpm,1000),eq(attributes/site,"north"))

        event.json: org.acme/press-4/things/twin/events/modified
        could match: unknown
          unknown and
          true      gt(features/motor/properties/rpm,1000)  <- 1480
          unknown   eq(attributes/site,"north")
        matches: not known: the enrichment decides; name a file with the thing (--thing)
    "#]],
    );
    check(
        &[&["rql", FILTER, "--signal", "event.json", "--thing", "thing.json"], &fields[..]].concat(),
        0,
        expect![[r#"
            filter: and(gt(features/motor/properties/rpm,1000),eq(attributes/site,"north"))

            event.json: org.acme/press-4/things/twin/events/modified
            could match: unknown
              unknown and
              true      gt(features/motor/properties/rpm,1000)  <- 1480
              unknown   eq(attributes/site,"north")
            after enrichment: true
              true    and
              true      gt(features/motor/properties/rpm,1000)  <- 1480
              true      eq(attributes/site,"north")  <- "north"
            matches: true
        "#]],
    );
    // Nothing can come any more.
    check(
        &["rql", FILTER, "--signal", "event.json"],
        0,
        expect![[r#"
        filter: and(gt(features/motor/properties/rpm,1000),eq(attributes/site,"north"))

        event.json: org.acme/press-4/things/twin/events/modified
        could match: false
          false   and
          true      gt(features/motor/properties/rpm,1000)  <- 1480
          false     eq(attributes/site,"north")
        matches: false
    "#]],
    );
}

#[test]
fn a_line_for_each_signal() -> anyhow::Result<()> {
    let setup = setup()?;
    let args = ["eval", "rql", FILTER, "--signal", "-", "--thing", "thing.json", "--format", "json"];
    let ended = setup.execute_on("feed.ndjson", &args)?;
    ended.expect_code(65)?;
    let lines = lines(&ended.stdout);
    let said = |line: &Value| (line["signal"].clone(), line["couldMatch"].clone(), line["matches"].clone());
    let matches = |n: u8, matches: bool| (json!(format!("stdin:{n}")), json!("unknown"), json!(matches));
    assert_eq!(lines.len(), 4, "{}", ended.stdout);
    assert_eq!((said(&lines[0]), said(&lines[1])), (matches(1, true), matches(3, false)));
    assert_eq!(
        (lines[2]["signal"].as_str(), lines[2]["error"]["code"].as_str()),
        (Some("stdin:4"), Some("not-ditto-protocol"))
    );
    // A recorded record, as a feed takes it.
    assert_eq!(said(&lines[3]), matches(5, true));
    assert_eq!(lines[0]["after"]["parts"][0]["compared"], json!(["1480"]));
    Ok(())
}

#[test]
fn mistakes_in_filters_have_a_place_and_a_remedy() {
    check(
        &["rql", "and(eq(attributes/größe,\"ü\"),gt(attribute/n,5))"],
        65,
        expect![[r#"
        invalid filter at byte 35 (line 1, column 33): there is no property `attribute/n`; did you mean `attributes/n`?
            and(eq(attributes/größe,"ü"),gt(attribute/n,5))
                                            ^
    "#]],
    );
    check(
        &["rql", "eq(attributes/n,5"],
        65,
        expect![[r#"
        invalid filter at byte 17 (line 1, column 18): expected a fraction or `)`, found the end
            eq(attributes/n,5
                             ^
    "#]],
    );
    check(
        &["rql", "exists(attributes/a)", "--signal", "event.json", "--extra-fields", "thingId,attribute"],
        65,
        expect![[r#"
            invalid field selector at byte 8: `attribute` is no field of a thing; these are thingId, policyId, definition, attributes, features, _namespace, _revision, _created, _modified, _metadata, _policy, _context
                thingId,attribute
                        ^
        "#]],
    );
    check(
        &["rql", "gt(attribute/n,5)", "--format", "json"],
        65,
        expect![[r#"
        {"error":{"code":"rql.expression.invalid","message":"invalid filter at byte 3 (line 1, column 4): there is no property `attribute/n`; did you mean `attributes/n`?","at":3,"excerpt":"gt(attribute/n,5)\n   ^","nearest":"attributes/n"}}
    "#]],
    );
}

#[test]
fn each_step_of_a_template() {
    let template = "tag-{{ header:tags | fn:split(',') | fn:upper() }}-{{ header:none | fn:default('ü') }}";
    check(
        &["placeholder", template, "--signal", "event.json"],
        0,
        expect![[r#"
        template: tag-{{ header:tags | fn:split(',') | fn:upper() }}-{{ header:none | fn:default('ü') }}

        event.json: org.acme/press-4/things/twin/events/modified
        resolved: "tag-HOT-ü", "tag-NEW-ü"
          {{ header:tags | fn:split(',') | fn:upper() }}
            header:tags    resolved: "hot,new"
            fn:split(',')  resolved: "hot", "new"
            fn:upper()     resolved: "HOT", "NEW"
          {{ header:none | fn:default('ü') }}
            header:none      unresolved
            fn:default('ü')  resolved: "ü"
    "#]],
    );
    check(
        &["placeholder", "{{ header:none }}", "--signal", "event.json"],
        0,
        expect![[r#"
        template: {{ header:none }}

        event.json: org.acme/press-4/things/twin/events/modified
        unresolved
          {{ header:none }}
            header:none  unresolved
    "#]],
    );
    check(
        &["placeholder", "{{ fn:delete() }}", "--signal", "event.json"],
        0,
        expect![[r#"
        template: {{ fn:delete() }}

        event.json: org.acme/press-4/things/twin/events/modified
        deleted
          {{ fn:delete() }}
            fn:delete()  deleted
    "#]],
    );
    check(
        &["placeholder", "{{ header:A | fn:base64-decode() | fn:upper() }}", "--header", "a=\u{1b}[2J"],
        0,
        expect![[r#"
            template: {{ header:A | fn:base64-decode() | fn:upper() }}
            failed: fn:base64-decode: the value is no base64
              {{ header:A | fn:base64-decode() | fn:upper() }}
                header:A            resolved: "\u{1b}[2J"
                fn:base64-decode()  failed: fn:base64-decode: the value is no base64
        "#]],
    );
}

#[test]
fn where_a_template_stands_decides() {
    let args = ["placeholder", "{{ connection:id }}", "--scope", "connection", "--connection-id", "c"];
    check(
        &args,
        0,
        expect![[r#"
        template: {{ connection:id }}
        resolved: "c"
          {{ connection:id }}
            connection:id  resolved: "c"
    "#]],
    );
    let args =
        ["placeholder", "{{ source:address }}", "--scope", "source-address", "--source-address", "a/b"];
    check(
        &args,
        0,
        expect![[r#"
        template: {{ source:address }}
        resolved: "a/b"
          {{ source:address }}
            source:address  resolved: "a/b"
    "#]],
    );
    check(
        &["placeholder", "x/{{ thing:id }}", "--scope", "connection"],
        65,
        expect![[r#"
        invalid placeholder at byte 5: placeholder `thing:id` is not available in acknowledgement labels and group ids
            x/{{ thing:id }}
                 ^
    "#]],
    );
    check(
        &["placeholder", "{{ thing:id | fn:lowre() }}", "--scope", "header"],
        65,
        expect![[r#"
        invalid placeholder at byte 14: there is no function `fn:lowre()`; did you mean `fn:lower()`?
            {{ thing:id | fn:lowre() }}
                          ^
    "#]],
    );
}

#[test]
fn an_address_and_where_it_leads() {
    check(
        &["address", "t-{{ thing:name }}/{{ header:key | fn:default(thing:id) }}", "--signal", "event.json"],
        0,
        expect![[r#"
            address: t-{{ thing:name }}/{{ header:key | fn:default(thing:id) }}
              topic: t-{{ thing:name }}
              key: {{ header:key | fn:default(thing:id) }}

            event.json: org.acme/press-4/things/twin/events/modified
            resolved:
              topic: t-press-4
              key: "org.acme:press-4"
        "#]],
    );
    check(
        &[
            "address",
            "devices/{{ header:key | fn:default(thing:id) }}",
            "--signal",
            "event.json",
            "--format",
            "json",
        ],
        0,
        expect![[r#"
            {"address":"devices/{{ header:key | fn:default(thing:id) }}","outline":{"topic":"devices","key":"{{ header:key | fn:default(thing:id) }}","partition":null},"signal":"event.json","outcome":"resolved","resolved":{"topic":"devices","key":"org.acme:press-4","partition":null}}
        "#]],
    );
    check(
        &["address", "t#{{ header:none }}", "--signal", "event.json"],
        0,
        expect![[r#"
        address: t#{{ header:none }}
          topic: t
          partition: {{ header:none }}

        event.json: org.acme/press-4/things/twin/events/modified
        unresolved: a placeholder has no value for this signal, which fails (address-unresolved); add fn:default(…)
    "#]],
    );
    check(
        &["address", "{{ header:p }}", "--signal", "event.json"],
        0,
        expect![[r#"
        address: {{ header:p }}
          topic: {{ header:p }}

        event.json: org.acme/press-4/things/twin/events/modified
        failed: `a b` is no topic: 1 to 249 of A-Z a-z 0-9 . _ - are allowed, and not `.` or `..` (address-invalid)
          a b
           ^
    "#]],
    );
    check(
        &["address", "grö ße/key"],
        65,
        expect![[r#"
        invalid address at byte 2: `grö ße` is no topic: 1 to 249 of A-Z a-z 0-9 . _ - are allowed, and not `.` or `..`
            grö ße/key
              ^
    "#]],
    );
    check(
        &["address", "t#-1"],
        65,
        expect![[r#"
        invalid address at byte 2: `-1` is no partition: a number from 0 to 2147483647
            t#-1
              ^
    "#]],
    );
    check(
        &["address", "t/{{ thing:nmae }}"],
        65,
        expect![[r#"
        invalid placeholder at byte 5: there is no placeholder `thing:nmae`; did you mean `thing:name`?
            t/{{ thing:nmae }}
                 ^
    "#]],
    );
}

#[test]
fn a_topic_and_what_it_selects() {
    let topic = "_/_/things/twin/events?namespaces=org.acme&filter=and(gt(features/motor/properties/rpm,1000),exists(features/lamp/definition))&extraFields=features/*/definition";
    check(
        &["topic", topic, "--signal", "event.json", "--thing", "thing.json"],
        0,
        expect![[r#"
        topic: _/_/things/twin/events?namespaces=org.acme&filter=and(gt(features/motor/properties/rpm,1000),exists(features/lamp/definition))&extraFields=features/*/definition
          kind: _/_/things/twin/events
          namespaces: org.acme
          filter: and(gt(features/motor/properties/rpm,1000),exists(features/lamp/definition))
          extra fields: /features/*/definition

        event.json: org.acme/press-4/things/twin/events/modified
        kind: true (_/_/things/twin/events)
        namespace: true (org.acme)
        could match: unknown
          unknown and
          true      gt(features/motor/properties/rpm,1000)  <- 1480
          unknown   exists(features/lamp/definition)
        after enrichment: true
          true    and
          true      gt(features/motor/properties/rpm,1000)  <- 1480
          true      exists(features/lamp/definition)
        matches: true
        selected: true (who may read is not looked at)
    "#]],
    );
    check(
        &["topic", "_/_/things/live/messages?namespaces=a,b", "--signal", "event.json"],
        0,
        expect![[r#"
        topic: _/_/things/live/messages?namespaces=a,b
          kind: _/_/things/live/messages
          namespaces: a, b

        event.json: org.acme/press-4/things/twin/events/modified
        kind: false (_/_/things/twin/events)
        namespace: false (org.acme)
        selected: false (who may read is not looked at)
    "#]],
    );
    check(
        &["topic", "_/_/things/twin/evnts"],
        65,
        expect![[r#"
        invalid topic at byte 0: `_/_/things/twin/evnts` is no topic of a target; did you mean `_/_/things/twin/events`?
            _/_/things/twin/evnts
            ^
    "#]],
    );
    check(
        &["topic", "_/_/things/twin/events?filter=eq(attributes/a,%22%C3%BC%22,1)"],
        65,
        expect![[r#"
        invalid topic: `filter` is refused: invalid filter at byte 20 (line 1, column 20): expected `)`, found `,`; mend the filter; & and + in it are written %26 and %2B
            eq(attributes/a,"ü",1)
                               ^
    "#]],
    );
}

#[test]
fn what_cannot_be_read_is_named() -> anyhow::Result<()> {
    check(
        &["rql", "exists(thingId)", "--thing", "nowhere.json"],
        69,
        expect![[r#"
        `nowhere.json` cannot be read: No such file or directory (os error 2)
    "#]],
    );
    check(
        &["rql", "exists(thingId)", "--thing", "-", "--signal", "-"],
        64,
        expect![[r#"
        - is stdin, which can be read once; name files for the others
    "#]],
    );
    check(
        &["placeholder", "{{ header:a }}", "--header", "a"],
        64,
        expect![[r#"
        error: invalid value 'a' for '--header <NAME=VALUE>': write name=value

        For more information, try '--help'.
    "#]],
    );
    let setup = setup()?;
    setup.write("broken.json", "{\"thingId\": 5,, \"secret\": \"s3cret\"}")?;
    let ended = setup.execute(&["eval", "rql", "exists(thingId)", "--thing", "broken.json"])?;
    ended.expect_code(65)?;
    expect![[r#"
        broken.json: invalid json at byte 14: expected a member name
    "#]]
    .assert_eq(&ended.stderr);
    setup.write("empty.json", "\n")?;
    let ended = setup.execute(&["eval", "rql", "exists(thingId)", "--signal", "empty.json"])?;
    ended.expect_code(65)?;
    expect![[r#"
        empty.json: no signal (empty): the record has no payload
    "#]]
    .assert_eq(&ended.stderr);
    Ok(())
}

#[test]
fn nothing_is_too_large() -> anyhow::Result<()> {
    let setup = setup()?;
    let deep = format!("{}exists(thingId){}", "not(".repeat(500), ")".repeat(500));
    for format in ["text", "json"] {
        setup
            .execute(&["eval", "rql", &deep, "--thing", "thing.json", "--format", format])?
            .expect_code(0)?;
    }
    let long = format!("in(attributes/n,{}x)", "1,".repeat(60_000));
    let ended = setup.execute(&["eval", "rql", &long])?;
    ended.expect_code(65)?;
    assert!(ended.stderr.len() < 1_000 && ended.stderr.contains("at byte 120016"), "{}", ended.stderr);
    // One signal, not one a line, and beyond the bound of a message.
    setup.write("large.json", format!("{{\n\"topic\":\"{}\"}}", "x".repeat(20 << 20)))?;
    setup.write("large.ndjson", format!("{{\"topic\":\"{}\"}}\n", "x".repeat(20 << 20)))?;
    for file in ["large.json", "large.ndjson"] {
        let ended = setup.execute(&["eval", "address", "t/{{ thing:id }}", "--signal", file])?;
        ended.expect_code(65)?;
        assert!(
            ended.stderr.contains("no signal (too-large)") && ended.stderr.len() < 200,
            "{}",
            ended.stderr
        );
    }
    setup.execute(&["eval", "rql", "exists(thingId)", "--thing", "large.json"])?.expect_code(65)
}
