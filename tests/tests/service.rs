//! The program itself: arguments, configuration, exit codes. No broker is needed.

mod service {
    mod check;
    mod eval;
    mod explain;
    mod stamp;
}

use std::time::Instant;

use ditto_tests::service::{Setup, definition, event};
use expect_test::expect;
use serde_json::json;

fn setup() -> anyhow::Result<Setup> {
    Setup::new(env!("CARGO_BIN_EXE_service"))
}

#[test]
fn help_says_what_exit_codes_mean() -> anyhow::Result<()> {
    let ended = setup()?.execute(&["--help"])?;
    ended.expect_code(0)?;
    for text in ["run", "quickstart", "78 wrong configuration"] {
        assert!(ended.stdout.contains(text), "no `{text}` in\n{}", ended.stdout);
    }
    setup()?.execute(&["walk"])?.expect_code(64)?;
    setup()?.execute(&["run", "--confg", "x"])?.expect_code(64)
}

#[test]
fn the_quickstart_gets_what_is_due() -> anyhow::Result<()> {
    let ended = setup()?.execute(&["quickstart", "--once"])?;
    ended.expect_code(0)?;
    assert!(ended.stdout.contains("records of 200 signals, each as due"), "{}", ended.stdout);
    Ok(())
}

#[test]
fn shells_and_man_learn_the_commands() -> anyhow::Result<()> {
    let setup = setup()?;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = setup.execute(&["completions", shell])?;
        ended.expect_code(0)?;
        for text in ["ditto-connectivity", "lanes", "seek", "dry-run"] {
            assert!(ended.stdout.contains(text), "no `{text}` for {shell} in\n{}", ended.stdout);
        }
    }
    setup.execute(&["completions", "abacus"])?.expect_code(64)?;

    let ended = setup.execute(&["man"])?;
    ended.expect_code(0)?;
    assert!(ended.stdout.contains(".TH ditto-connectivity 1"), "{}", ended.stdout);

    setup.execute(&["man", "--dir", "share/man1"])?.expect_code(0)?;
    let page = |name: &str| std::fs::read_to_string(setup.path("share/man1").join(name));
    assert_eq!(page("ditto-connectivity.1")?, ended.stdout);
    for (name, text) in [
        ("ditto-connectivity-run.1", "check"),
        ("ditto-connectivity-lanes.1", "ditto\\-connectivity\\-lanes\\-seek(1)"),
        ("ditto-connectivity-lanes-seek.1", concat!("\"ditto-connectivity ", env!("CARGO_PKG_VERSION"))),
    ] {
        assert!(page(name)?.contains(text), "no `{text}` in {name}:\n{}", page(name)?);
    }

    // A file is in the way.
    setup.write("taken", "")?;
    let ended = setup.execute(&["man", "--dir", "taken"])?;
    ended.expect_code(69)?;
    assert!(ended.stderr.contains("`taken`"), "{}", ended.stderr);
    Ok(())
}

#[test]
fn a_wrong_configuration_is_told_with_file_and_line() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.execute(&["run", "--config", "nowhere.toml"])?.expect_code(78)?;
    setup.write("config.toml", "connections = 5\n[feed]\nkind = \"carrier pigeon\"\n")?;
    let ended = setup.run()?;
    ended.expect_code(78)?;
    assert!(ended.stderr.contains("config.toml:1: connections"), "{}", ended.stderr);
    assert!(ended.stderr.contains("config.toml:3: feed.kind"), "{}", ended.stderr);
    // Not UTF-8.
    setup.write("config.toml", b"connections = \"\xff\"")?;
    setup.run()?.expect_code(78)
}

#[test]
fn without_a_connection_there_is_nothing_to_run() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.feed("kind = \"ndjson\"\npath = \"-\"")?;
    setup.write("connections/broken.json", "{\"id\": 5,,")?;
    let ended = setup.run()?;
    ended.expect_code(78)?;
    assert!(ended.stderr.contains("broken.json") && ended.stderr.contains("1:"), "{}", ended.stderr);
    let ended = setup.execute(&["run", "--config", "config.toml", "--check"])?;
    ended.expect_code(78)?;
    assert!(ended.stdout.contains("broken.json"), "{}", ended.stdout);
    Ok(())
}

#[test]
fn a_check_shows_where_an_expression_is_wrong() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.feed("kind = \"ndjson\"\npath = \"-\"")?;
    setup.connection(&definition(
        "c",
        "127.0.0.1:9",
        &json!([{
            "address": "größen/{{ thing:idd }}", "topics": ["_/_/things/twin/events?filter=gt(attribute/n,5)"],
            "authorizationContext": ["a:b"], "headerMapping": {"token": "s3cret {{ header:a | fn:lowre() }}"},
        }]),
    ))?;
    let ended = setup.execute(&["run", "--config", "config.toml", "--check"])?;
    ended.expect_code(78)?;
    expect![[r#"
        connections/c.json:1:197: error at /targets/0/topics/0: `filter` is refused: invalid filter at byte 3 (line 1, column 4): there is no property `attribute/n`; did you mean `attributes/n`?; mend the filter; & and + in it are written %26 and %2B
            gt(attribute/n,5)
               ^
        connections/c.json:1:304: error at /targets/0/headerMapping/token: the value is refused: invalid placeholder at byte 21: there is no function `fn:lowre()`; did you mean `fn:lower()`?; mend the placeholder
            {{ header:a | fn:lowre() }}
                          ^
        connections/c.json:1:162: error at /targets/0/address: the address is refused: invalid placeholder at byte 12: there is no placeholder `thing:idd`; did you mean `thing:id`?; mend the placeholder
            größen/{{ thing:idd }}
                      ^
        no connection is open: there is nothing to run
    "#]].assert_eq(&ended.stdout);
    // One line for each problem, also where it is logged.
    let ended = setup.run()?;
    ended.expect_code(78)?;
    assert!(
        ended.stderr.contains("did you mean `thing:id`?") && !ended.stderr.contains("^"),
        "{}",
        ended.stderr
    );
    Ok(())
}

#[test]
fn a_feed_that_is_not_there_is_unavailable() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.connection(&definition(
        "c",
        "127.0.0.1:9",
        &json!([{
            "address": "t", "topics": ["_/_/things/twin/events"], "authorizationContext": ["a:b"],
        }]),
    ))?;
    setup.feed("kind = \"ndjson\"\npath = \"nowhere.ndjson\"")?;
    let ended = setup.run()?;
    ended.expect_code(69)?;
    assert!(ended.stderr.contains("nowhere.ndjson"), "{}", ended.stderr);
    // Can be opened, and not read.
    setup.feed("kind = \"ndjson\"\npath = \"connections\"")?;
    setup.run()?.expect_code(69)
}

/// Ten seconds as the reference, then failed, named, and told.
#[test]
fn a_broker_that_is_down_fails_signals_that_cannot_be_replayed() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.connection(&definition(
        "down",
        "127.0.0.1:9",
        &json!([{
            "address": "t", "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"],
            "issuedAcknowledgementLabel": "down:done",
        }]),
    ))?;
    let signals = [
        event("a", 0, &json!({"requested-acks": ["down:done"]})),
        event("b", 1, &json!({"ditto-read-subjects": ["integ:nobody"]})),
    ];
    setup.lines("internal_headers = \"trust\"", &signals)?;
    let start = Instant::now();
    let ended = setup.run()?;
    ended.expect_code(1)?;
    assert!((9.0..40.0).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
    for text in ["2 received, 1 for no target", "down → t: 1 selected, 0 published, 1 failed (connection)"]
    {
        assert!(ended.stderr.contains(text), "no `{text}` in\n{}", ended.stderr);
    }
    // Nothing is in flight any more, whatever the client still has to say.
    assert!(!ended.stderr.contains("unsent"), "{}", ended.stderr);
    let acknowledgements = setup.acknowledgements()?;
    assert_eq!(acknowledgements.len(), 1, "{acknowledgements:?}");
    let headers = acknowledgements[0]["headers"].to_string();
    assert!(!headers.contains("read-subjects"), "{headers}");
    assert_eq!(acknowledgements[0]["status"], 500);
    Ok(())
}

/// What the folder of the directory says decides, without a broker: one thing is filtered, the other is not there.
#[test]
fn things_come_from_the_directory() -> anyhow::Result<()> {
    let setup = setup()?;
    setup.connection(&definition(
        "c",
        "127.0.0.1:9",
        &json!([{
            "address": "t", "authorizationContext": ["integ:reader"],
            "topics": ["_/_/things/twin/events?extraFields=attributes/site&filter=eq(attributes/site,'south')"],
        }]),
    ))?;
    for folder in ["twins", "twins/things", "twins/policies"] {
        std::fs::create_dir(setup.path(folder))?;
    }
    let thing = json!({"thingId": "org.acme:a", "policyId": "org.acme:p", "attributes": {"site": "north"}});
    setup.write("twins/things/org.acme:a.json", thing.to_string())?;
    let policy = json!({"entries": {"readers": {
        "subjects": {"integ:reader": {"type": "generated"}},
        "resources": {"thing:/": {"grant": ["READ"], "revoke": []}},
    }}});
    setup.write("twins/policies/org.acme:p.json", policy.to_string())?;
    setup.lines(
        "internal_headers = \"trust\"\n[directory]\nkind = \"files\"\npath = \"twins\"",
        &[event("a", 0, &json!({})), event("b", 1, &json!({})), event("a", 2, &json!({}))],
    )?;
    let ended = setup.run()?;
    ended.expect_code(1)?;
    for text in
        ["c → t: 3 selected, 0 published, 2 dropped (filtered), 1 failed (thing-absent)", "directory: "]
    {
        assert!(ended.stderr.contains(text), "no `{text}` in\n{}", ended.stderr);
    }
    Ok(())
}
