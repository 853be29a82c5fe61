//! `check` and `schema`.

use ditto_tests::service::Setup;
use expect_test::expect;
use serde_json::{Value, json};

const BROKEN: &str = r#"{
  "id": "broken", "connectionType": "kafka", "connectionStatus": "open",
  "uri": "tcp://user:CANARY@kafka", "specificConfig": { "bootstrapServers": "kafka:9092" },
  "targets": [{
    "address": "a/{{ thing:idd }}", "authorizationContext": ["a:b"],
    "headerMaping": {}
  }]
}"#;

const KEPT: &str = r#"{
  "id": "kept", "connectionType": "kafka", "connectionStatus": "open",
  "uri": "tcp://kafka:9092", "specificConfig": { "bootstrapServers": "kafka:9092" },
  "sources": [{ "addresses": ["in"], "authorizationContext": ["a:b"] }]
}"#;

const DIVERTED: &str = r#"{
  "id": "kept", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://kafka:9092",
  "specificConfig": { "bootstrapServers": "kafka:9092", "is-diversion-target": "true" },
  "targets": [{ "address": "out", "authorizationContext": ["a:b"] }]
}"#;

const MAPPED: &str = r#"{
  "id": "mapped", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://kafka:9092",
  "specificConfig": { "bootstrapServers": "kafka:9092", "cleanSession": true },
  "mappingDefinitions": {
    "mine": { "mappingEngine": "Normalized", "options": { "feilds": "thingId" } },
    "unused": { "mappingEngine": "Normalized", "options": {} }
  },
  "targets": [{ "address": "out", "topics": ["_/_/things/twin/events"], "authorizationContext": ["a:b"], "payloadMapping": ["mine"] }]
}"#;

fn setup() -> anyhow::Result<Setup> {
    Setup::new(env!("CARGO_BIN_EXE_service"))
}

#[test]
fn findings_come_in_the_order_of_the_file() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.write("broken.json", BROKEN)?;
    setup.write("kept.json", KEPT)?;
    let ended = setup.execute(&["check", "kept.json", "broken.json"])?;
    ended.expect_code(78)?;
    expect![[r#"
        kept.json:4:14: warning at /sources: this version does not consume sources: only targets run; let ditto's own service keep consuming them
        kept.json: connection `kept` is valid
        broken.json:3:10: error at /uri: the uri is refused: it has no port; write the port after the host: tcp://host:9092
        broken.json:4:15: warning at /targets/0/topics: the target has no `topics`: no signal goes there; add some, such as _/_/things/twin/events
        broken.json:5:16: error at /targets/0/address: the address is refused: invalid placeholder at byte 5: there is no placeholder `thing:idd`; did you mean `thing:id`?; mend the placeholder
            a/{{ thing:idd }}
                 ^
        broken.json:6:21: note at /targets/0/headerMaping: there is no member `headerMaping` of `target`: it is dropped; did you mean `headerMapping`?
        broken.json: the definition is refused
    "#]]
    .assert_eq(&ended.stdout);

    let ended = setup.execute(&["check", "kept.json", "--format", "json"])?;
    ended.expect_code(0)?;
    let answer: Value = serde_json::from_str(&ended.stdout)?;
    assert_eq!((&answer["ok"], &answer["id"]), (&json!(true), &json!("kept")));
    assert_eq!(answer["findings"][0]["pointer"], "/sources");

    setup.execute(&["check", "kept.json", "nowhere.json"])?.expect_code(69)?;
    setup.execute(&["check"])?.expect_code(64)
}

/// What is not built keeps a connection from running: what it says would not be done. Sources do not.
#[test]
fn what_is_kept_does_not_run() -> anyhow::Result<()> {
    let setup = setup()?;
    std::fs::create_dir_all(setup.path("definitions"))?;
    setup.write("definitions/kept.json", KEPT)?;
    setup
        .write("sourced.toml", "connections = \"definitions\"\n[feed]\nkind = \"ndjson\"\npath = \"-\"\n")?;
    let ended = setup.execute(&["run", "--config", "sourced.toml", "--check"])?;
    ended.expect_code(0)?;
    assert!(ended.stdout.contains("warning at /sources: this version does not consume"), "{}", ended.stdout);
    setup.write("definitions/kept.json", DIVERTED)?;
    setup.write("kept.toml", "connections = \"definitions\"\n[feed]\nkind = \"ndjson\"\npath = \"-\"\n")?;
    let ended = setup.execute(&["run", "--config", "kept.toml", "--check"])?;
    ended.expect_code(78)?;
    assert!(
        ended.stdout.contains("/specificConfig/is-diversion-target: diverted responses are not built yet"),
        "{}\n{}",
        ended.stdout,
        ended.stderr
    );
    Ok(())
}

/// What a definition has and nobody looks at: of other types, of mappers, of nobody.
#[test]
fn what_has_no_effect_is_told() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.write("mapped.json", MAPPED)?;
    let ended = setup.execute(&["check", "mapped.json"])?;
    ended.expect_code(0)?;
    expect![[r#"
        mapped.json:3:73: note at /specificConfig/cleanSession: there is no member `cleanSession` of `specificConfig`: it is kept and has no effect; remove it
        mapped.json:5:69: warning at /mappingDefinitions/mine/options/feilds: `feilds` has no effect; did you mean `fields`?
        mapped.json:6:15: note at /mappingDefinitions/unused: no source and no target names this payload mapper: it has no effect; name it in a `payloadMapping`, or remove it
        mapped.json: connection `mapped` is valid
    "#]]
    .assert_eq(&ended.stdout);
    Ok(())
}

#[test]
fn the_schema_is_json() -> anyhow::Result<()> {
    let ended = setup()?.execute(&["schema"])?;
    ended.expect_code(0)?;
    let schema: Value = serde_json::from_str(&ended.stdout)?;
    assert_eq!(schema["properties"]["connectionType"]["enum"], json!(["kafka"]));
    Ok(())
}
