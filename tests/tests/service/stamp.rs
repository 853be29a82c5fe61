//! `stamp`: signals with who may read them.

use ditto_tests::service::Setup;
use serde_json::{Value, json};

fn setup(stamp: &str, lines: &[Value]) -> anyhow::Result<Setup> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    std::fs::create_dir_all(setup.path("ditto/things"))?;
    std::fs::create_dir_all(setup.path("ditto/policies"))?;
    let policy = json!({"policyId": "org.acme:p", "entries": {
        "reader": {
            "subjects": {"integ:reader": {"type": "t"}},
            "resources": {"thing:/": {"grant": ["READ"], "revoke": []}},
        },
        "guest": {
            "subjects": {"integ:guest": {"type": "t"}},
            "resources": {
                "thing:/attributes": {"grant": ["READ"], "revoke": []},
                "thing:/attributes/secret": {"grant": [], "revoke": ["READ"]},
            },
        },
    }});
    setup.write("ditto/policies/org.acme:p.json", policy.to_string())?;
    let thing = json!({"thingId": "org.acme:t", "policyId": "org.acme:p", "attributes": {"site": "north"}});
    setup.write("ditto/things/org.acme:t.json", thing.to_string())?;
    setup.write("feed.ndjson", lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    let config = format!(
        "[feed]\nkind = \"ndjson\"\npath = \"feed.ndjson\"\n[directory]\nkind = \"files\"\npath = \"ditto\"\n{stamp}"
    );
    setup.write("config.toml", config)?;
    Ok(setup)
}

fn event(thing: &str, headers: &Value) -> Value {
    json!({
        "topic": format!("org.acme/{thing}/things/twin/events/modified"), "headers": headers, "revision": 42,
        "path": "/attributes", "value": {"rpm": 900, "secret": 1}, "extra": {"attributes": {"site": "north"}},
    })
}

#[test]
fn what_is_stamped_is_read_by_whom_the_policies_let() -> anyhow::Result<()> {
    let forged =
        json!({"ditto-read-subjects": ["integ:nobody"], "ditto-partial-access-paths": {"subjects": []}});
    let announcement = json!({"topic": "_/press/connections/announcements/opened", "path": "/", "headers": {}, "value": {"openedAt": "2026-11-23T09:25:13Z"}});
    let response = json!({"topic": "org.acme/t/things/twin/errors", "path": "/", "headers": {}, "status": 400, "value": {}});
    let lines = [event("t", &forged), event("gone", &json!({})), announcement, response];
    let setup = setup("[stamp]\npath = \"-\"", &lines)?;
    let ended = setup.execute(&["stamp", "--config", "config.toml"])?;
    ended.expect_code(0)?;
    let stamped: Vec<Value> = ended.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let header = |line: &Value, name: &str| {
        let headers = line["headers"].as_array().unwrap().iter();
        let mut values =
            headers.filter(|header| header[0] == name).map(|header| header[1].as_str().unwrap().to_owned());
        let first = values.next();
        assert_eq!(values.next(), None, "{line}");
        first
    };
    let of = |key: &str| stamped.iter().find(|line| line["key"] == key).unwrap();
    assert_eq!(stamped.len(), 3, "responses go to who has asked");
    assert_eq!(header(of("press"), "ditto-read-subjects"), None);
    assert_eq!(header(of("org.acme:gone"), "ditto-read-subjects").unwrap(), "[]");
    let event = of("org.acme:t");
    assert_eq!(header(event, "ditto-read-subjects").unwrap(), r#"["integ:guest","integ:reader"]"#);
    let partial = header(event, "ditto-partial-access-paths").unwrap();
    assert!(partial.contains(r#""revoked":{"attributes/secret":[0]}"#), "{partial}");
    let payload: Value = serde_json::from_str(event["value"].as_str().unwrap())?;
    assert_eq!(payload["value"], json!({"rpm": 900, "secret": 1}));
    assert!(payload["headers"].get("ditto-read-subjects").is_none(), "{payload}");

    // Whoever reads it needs no directory.
    setup.write("stamped.ndjson", &ended.stdout)?;
    let target = json!({"address": "out", "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:guest"]});
    let connection = json!({
        "id": "press", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092"}, "targets": [target],
    });
    setup.write("press.json", connection.to_string())?;
    let args = ["explain", "--connection", "press.json", "--signal", "stamped.ndjson", "--format", "json"];
    let read = setup.execute(&args)?;
    read.expect_code(0)?;
    let targets =
        read.stdout.lines().map(|line| Ok(serde_json::from_str::<Value>(line)?["targets"][0].clone()));
    let targets: Vec<Value> = targets.collect::<anyhow::Result<_>>()?;
    let published: Vec<&Value> = targets.iter().filter(|target| target["outcome"] == "published").collect();
    let [published] = published.as_slice() else { panic!("{targets:?}") };
    let payload: Value = serde_json::from_str(published["records"][0]["payload"].as_str().unwrap())?;
    assert_eq!(
        (&payload["value"], &payload["extra"]),
        (&json!({"rpm": 900}), &json!({"attributes": {"site": "north"}}))
    );
    Ok(())
}

/// The same directory, asked by `explain`.
#[test]
fn explain_asks_the_directory_of_a_configuration() -> anyhow::Result<()> {
    let setup = setup("[stamp]\npath = \"-\"", &[event("t", &json!({})), event("gone", &json!({}))])?;
    let target = json!({
        "address": "out", "topics": ["_/_/things/twin/events?extraFields=attributes/site"], "authorizationContext": ["integ:guest"],
    });
    let connection = json!({
        "id": "press", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092"}, "targets": [target],
    });
    setup.write("press.json", connection.to_string())?;
    let args =
        ["explain", "--connection", "press.json", "--config", "config.toml", "--signal", "feed.ndjson"];
    let ended = setup.execute(&args)?;
    ended.expect_code(0)?;
    for expected in [
        "press target 0 → out: published",
        "entry `guest` revokes READ on thing:/attributes/secret to `integ:guest`",
        r#"extra: {"attributes":{"site":"north"}}"#,
        "press target 0 → out: not-selected",
        "nobody may read it: its thing or policy is gone, or may not be read by the directory",
    ] {
        assert!(ended.stdout.contains(expected), "{expected}: {}", ended.stdout);
    }
    Ok(())
}

/// Nobody answers: that is the cause, with the reason.
#[test]
fn explain_says_why_the_directory_does_not_answer() -> anyhow::Result<()> {
    let setup = setup("[stamp]\npath = \"-\"", &[event("t", &json!({}))])?;
    let config = "[feed]\nkind = \"ndjson\"\npath = \"feed.ndjson\"\n[directory]\nkind = \"http\"\nurl = \"http://127.0.0.1:9\"\n[stamp]\npath = \"-\"\n";
    setup.write("config.toml", config)?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/with-ditto");
    let press = format!("{folder}/connections/press.json");
    let args = ["explain", "--connection", &press, "--config", "config.toml", "--signal", "feed.ndjson"];
    let ended = setup.execute(&args)?;
    ended.expect_code(0)?;
    assert!(ended.stdout.contains("unknown\n    because  127.0.0.1:9: "), "{}", ended.stdout);
    Ok(())
}

/// What docs/with-ditto.md tells to take.
#[test]
fn the_files_to_run_beside_ditto_are_right() -> anyhow::Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/with-ditto");
    let setup = setup("", &[event("t", &json!({}))])?;
    let ended = setup.execute(&["run", "--check", "--config", &format!("{folder}/service.toml")])?;
    ended.expect_code(0)?;
    let args = ["explain", "--connection", &format!("{folder}/feed.json"), "--signal", "feed.ndjson"];
    setup.execute(&args)?.expect_code(0)
}

#[test]
fn what_cannot_be_stamped_is_told() -> anyhow::Result<()> {
    for (stamp, expected) in [
        ("", "name the folder of the connection definitions"),
        (
            "[stamp]\ntopic = \"x\"",
            "stamp.path is missing; the feed is of kind \"ndjson\": name a file or -, and no topic",
        ),
        ("[stamp]\npath = \"-\"\nspeed = 5", "speed"),
    ] {
        let ended = setup(stamp, &[])?.execute(&["stamp", "--config", "config.toml"])?;
        ended.expect_code(78)?;
        assert!(ended.stderr.contains(expected), "{expected}: {}", ended.stderr);
    }
    Ok(())
}
