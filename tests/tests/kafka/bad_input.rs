//! Records of a feed that are no signals: named, counted, passed by.

use anyhow::Context;
use ditto_tests::broker::Broker;
use ditto_tests::service::{Setup, definition, event};
use ditto_tests::topics::Written;
use serde_json::{Value, json};

const HUGE: usize = 20 << 20;

/// Twenty of the largest come, too: the memory must not grow with their number.
#[test]
fn a_feed_goes_on_after_records_that_are_no_signals() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let room = (HUGE + (1 << 20)).to_string();
    broker.create_topic("bad-feed", 1, &[("max.message.bytes", &room)])?;
    broker.create_topic("good-output", 1, &[])?;
    let good = |n: usize| Written::of(event("thing", n, &json!({})));
    let nested = format!(
        r#"{{"topic":"org.acme/t/things/twin/events/modified","path":"/attributes/a","revision":1,"value":{}1{}}}"#,
        "[".repeat(64),
        "]".repeat(64)
    );
    let twice = event("thing", 1, &json!({})).replace(r#""value":1"#, r#""value":"first","value":1"#);
    let mut records = vec![
        good(0),
        Written::of("no json at all"),
        Written::of(r#"{"speed": 5}"#),
        Written::of(r#"{"topic":"org.acme/t/things/twin/events/moved","path":"/","value":{}}"#),
        Written::of(nested),
        Written::of([&b"{\"topic\":\"org.acme/\xff\xfe"[..], b"\"}"].concat()),
        Written { key: Some(b"gone".to_vec()), ..Written::default() },
        Written::of("   "),
        Written { headers: vec![("ditto-read-subjects".to_owned(), b"not a list".to_vec())], ..good(9) },
        Written::of(twice),
    ];
    records.extend((0..20).map(|_| Written::of(vec![b'x'; HUGE])));
    records.push(good(2));
    let total = records.len();
    broker.write("bad-feed", records)?;

    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let targets = json!([{
        "address": "good-output/{{ thing:id }}", "topics": ["_/_/things/twin/events"],
        "authorizationContext": ["integ:reader"],
    }]);
    setup.connection(&definition("bad-input", &broker.listeners.plaintext, &targets))?;
    // Beside it a definition that is broken: it is told, and the other runs.
    setup.write("connections/broken.json", "{\n  \"id\": \"broken\",\n  \"connectionType\": 5\n}")?;
    setup.feed(&format!(
        "kind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"bad-feed\"]\nstart_at = \"earliest\"\ninternal_headers = \"trust\"",
        broker.listeners.plaintext
    ))?;
    let service = setup.start_run()?;
    broker.wait_for("good-output", 3)?;
    let peak = service.peak_memory()?;
    let ended = service.stop()?;
    ended.expect_code(0)?;

    let values: Vec<Value> = broker
        .consume("good-output")?
        .iter()
        .map(|record| Ok(serde_json::from_str::<Value>(&record.value_text())?["value"].clone()))
        .collect::<anyhow::Result<_>>()?;
    assert_eq!(values, [0, 1, 2], "of duplicate members the last one counts");
    let report = ended.stderr.lines().find(|line| line.contains("feed of")).context("no report")?;
    for expected in [
        &*format!("{total} received"),
        "2 undecodable (empty)",
        "20 undecodable (too-large)",
        "1 undecodable (too-deep)",
        "1 undecodable (invalid-utf-8)",
        "3 undecodable (not-ditto-protocol)",
        "1 undecodable (invalid-internal-header)",
    ] {
        assert!(report.contains(expected), "no `{expected}` in {report}");
    }
    let broken = ended.stderr.lines().find(|line| line.contains("broken.json")).context("not told")?;
    assert!(broken.contains("3:21") && broken.contains("/connectionType"), "{broken}");
    assert!(peak < 200 << 20, "peak memory {} MiB", peak >> 20);
    Ok(())
}
