//! `stamp` from a topic into another one.

use ditto_tests::broker::Broker;
use ditto_tests::service::{Setup, event};
use ditto_tests::topics::Written;
use serde_json::json;

#[test]
fn a_feed_is_stamped_into_another_topic() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    broker.create_topic("stamp-feed", 1, &[])?;
    broker.create_topic("stamp-out", 3, &[])?;
    let records = (0..30).map(|n| Written::of(event(["one", "two", "three"][n % 3], n, &json!({}))));
    broker.write("stamp-feed", records.chain([Written::of("nonsense")]))?;
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let policy = json!({"entries": {"r": {
        "subjects": {"integ:reader": {"type": "t"}}, "resources": {"thing:/": {"grant": ["READ"], "revoke": []}},
    }}});
    std::fs::create_dir_all(setup.path("ditto/things"))?;
    std::fs::create_dir_all(setup.path("ditto/policies"))?;
    setup.write("ditto/policies/org.acme:p.json", policy.to_string())?;
    for thing in ["one", "two"] {
        let json = json!({"thingId": format!("org.acme:{thing}"), "policyId": "org.acme:p"});
        setup.write(&format!("ditto/things/org.acme:{thing}.json"), json.to_string())?;
    }
    setup.write("config.toml", format!(
        "[feed]\nkind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"stamp-feed\"]\nstart_at = \"earliest\"\n\
         [directory]\nkind = \"files\"\npath = \"ditto\"\n[stamp]\ntopic = \"stamp-out\"\n",
        broker.listeners.plaintext
    ))?;
    let service = setup.start(&["stamp", "--config", "config.toml"])?;
    broker.wait_for("stamp-out", 30)?;
    let ended = service.stop()?;
    ended.expect_code(0)?;
    let mut of_thing = std::collections::BTreeMap::<String, Vec<i64>>::new();
    for record in broker.consume("stamp-out")? {
        let value: serde_json::Value = serde_json::from_str(&record.value_text())?;
        let expected = if record.key_text() == "org.acme:three" { "[]" } else { r#"["integ:reader"]"# };
        assert_eq!(record.header("ditto-read-subjects"), expected, "{}", record.key_text());
        let n = value["value"].as_i64().unwrap_or(-1);
        of_thing.entry(record.key_text()).or_default().push(n);
    }
    for (start, thing) in [(0, "one"), (1, "two"), (2, "three")] {
        let expected: Vec<i64> = (0..10).map(|n| start + 3 * n).collect();
        assert_eq!(of_thing.get(&format!("org.acme:{thing}")), Some(&expected), "{thing}");
    }
    assert!(
        ended.stderr.contains("30 published") && ended.stderr.contains("1 undecodable"),
        "{}",
        ended.stderr
    );
    Ok(())
}
