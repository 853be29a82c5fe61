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
        kept.json:4:14: not served at /sources: sources are not built yet; move them to a connection that ditto serves
        kept.json: connection `kept` is valid
        broken.json:3:10: error at /uri: the uri is refused: it has no port; write the port after the host: tcp://host:9092
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

/// It is looked at like any other, and it does not run: what it says would not be done.
#[test]
fn what_is_kept_does_not_run() -> anyhow::Result<()> {
    let setup = setup()?;
    std::fs::create_dir_all(setup.path("definitions"))?;
    setup.write("definitions/kept.json", KEPT)?;
    setup.write("kept.toml", "connections = \"definitions\"\n[feed]\nkind = \"ndjson\"\npath = \"-\"\n")?;
    let ended = setup.execute(&["run", "--config", "kept.toml", "--check"])?;
    ended.expect_code(78)?;
    assert!(
        ended.stdout.contains("/sources: sources are not built yet"),
        "{}\n{}",
        ended.stdout,
        ended.stderr
    );
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
