//! The command `lanes`: where lanes stand, and what moving them brings.

use std::process::Command;

use anyhow::{Context, ensure};
use ditto_kafka::{ClusterSettings, Group, GroupErrorKind, SeekTo};
use ditto_tests::broker::Broker;
use ditto_tests::service::{Ended, Setup, definition, event};
use ditto_tests::topics::Written;
use serde_json::{Value, json};

/// A feed with two partitions, and a lane for each id that writes to the topic `<feed>-<id>`.
fn setup(broker: &Broker, feed: &str, ids: &[&str]) -> anyhow::Result<Setup> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    broker.create_topic(feed, 2, &[])?;
    for id in ids {
        let output = format!("{feed}-{id}");
        broker.create_topic(&output, 1, &[])?;
        let targets = json!([{
            "address": output, "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"],
        }]);
        setup.connection(&definition(id, &broker.listeners.plaintext, &targets))?;
    }
    setup.feed(&format!(
        "kind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"{feed}\"]\nstart_at = \"earliest\"\n\
         group_id = \"{feed}\"\ninternal_headers = \"trust\"",
        broker.listeners.plaintext
    ))?;
    Ok(setup)
}

fn write(broker: &Broker, feed: &str, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    let record = |n: usize| Written {
        key: Some(format!("key-{n}").into_bytes()),
        ..Written::of(event("thing", n, &json!({})))
    };
    broker.write(feed, numbers.map(record))
}

/// Runs the service until a topic holds that many records.
fn run_until(broker: &Broker, setup: &Setup, topic: &str, records: usize) -> anyhow::Result<()> {
    let service = setup.start_run()?;
    broker.wait_for(topic, records)?;
    service.stop()?.expect_code(0)
}

fn lanes(setup: &Setup, args: &[&str]) -> anyhow::Result<Ended> {
    let (command, rest) = args.split_first().context("a command")?;
    setup.execute(&[&["lanes", *command, "--config", "config.toml"], rest].concat())
}

/// Committed, lag and members of a lane, summed over its partitions.
fn stands(setup: &Setup, lane: &str) -> anyhow::Result<(i64, i64, Value)> {
    let ended = lanes(setup, &["list", "--format", "json"])?;
    ended.expect_code(0)?;
    let mut stands = (0, 0, Value::Null);
    for line in ended.stdout.lines() {
        let line: Value = serde_json::from_str(line)?;
        if line["lane"] == lane {
            assert_eq!(line["connections"], json!([lane]));
            stands.0 += line["committed"].as_i64().unwrap_or(-1_000);
            stands.1 += line["lag"].as_i64().context("no lag")?;
            stands.2 = line["members"].clone();
        }
    }
    Ok(stands)
}

fn values(broker: &Broker, topic: &str) -> anyhow::Result<Vec<i64>> {
    let consumed = broker.consume(topic)?;
    let value = |text: String| serde_json::from_str::<Value>(&text)?["value"].as_i64().context("no number");
    let mut values = consumed.iter().map(|it| value(it.value_text())).collect::<anyhow::Result<Vec<_>>>()?;
    values.sort_unstable();
    Ok(values)
}

#[test]
fn lanes_replay_everything_or_what_is_younger() -> anyhow::Result<()> {
    const FEED: &str = "lanes-replayed";
    let broker = Broker::of_this_run()?;
    let setup = setup(&broker, FEED, &["one", "two"])?;
    let output = format!("{FEED}-one");
    write(&broker, FEED, 0..10)?;
    let ended = lanes(&setup, &["list"])?;
    ended.expect_code(0)?;
    ensure!(
        ended.stdout.contains("lane one (group lanes-replayed.one), connections: one; no members"),
        "{}",
        ended.stdout
    );
    let service = setup.start_run()?;
    broker.wait_for(&output, 10)?;
    broker.wait_for(&format!("{FEED}-two"), 10)?;
    service.stop()?.expect_code(0)?;
    write(&broker, FEED, 10..15)?;
    assert_eq!(stands(&setup, "one")?, (10, 5, json!(0)));

    let ended = lanes(&setup, &["seek", "one", "--to", "earliest", "--dry-run"])?;
    ended.expect_code(0)?;
    ensure!(
        ended.stdout.lines().count() == 2 && ended.stdout.contains(" → 0 (dry run: not changed)"),
        "{}",
        ended.stdout
    );
    assert_eq!(stands(&setup, "one")?, (10, 5, json!(0)));

    lanes(&setup, &["seek", "one", "--to", "earliest"])?.expect_code(0)?;
    assert_eq!(stands(&setup, "one")?, (0, 15, json!(0)));
    assert_eq!(stands(&setup, "two")?, (10, 5, json!(0)), "the other lane stays");
    run_until(&broker, &setup, &output, 25)?;

    // The clock of the records is this machine's.
    let time = Command::new("date").args(["-u", "+%FT%T.%3NZ"]).output()?.stdout;
    let time = String::from_utf8(time)?;
    write(&broker, FEED, 15..18)?;
    run_until(&broker, &setup, &output, 28)?;
    lanes(&setup, &["seek", "one", "--to", time.trim()])?.expect_code(0)?;
    assert_eq!(stands(&setup, "one")?.1, 3);
    run_until(&broker, &setup, &output, 31)?;
    let expected = (0..10).chain(0..15).chain(15..18).chain(15..18);
    let mut expected: Vec<i64> = expected.collect();
    expected.sort_unstable();
    assert_eq!(values(&broker, &output)?, expected);

    lanes(&setup, &["seek", "--all", "--to", "-1h"])?.expect_code(0)?;
    assert_eq!((stands(&setup, "one")?.1, stands(&setup, "two")?.1), (18, 18));
    lanes(&setup, &["seek", "--all", "--to", "latest"])?.expect_code(0)?;
    assert_eq!((stands(&setup, "one")?.1, stands(&setup, "two")?.1), (0, 0));
    lanes(&setup, &["seek", "one", "--to", "1", "--topic", FEED, "--partition", "1"])?.expect_code(0)?;
    ensure!(stands(&setup, "one")?.1 > 0);
    Ok(())
}

#[test]
fn a_running_lane_is_not_moved() -> anyhow::Result<()> {
    const FEED: &str = "lanes-running";
    let broker = Broker::of_this_run()?;
    let setup = setup(&broker, FEED, &["busy"])?;
    write(&broker, FEED, 0..10)?;
    run_until(&broker, &setup, &format!("{FEED}-busy"), 10)?;
    let service = setup.start_run()?;
    service.wait_for_partitions()?;
    assert_eq!(stands(&setup, "busy")?, (10, 0, json!(1)));
    let ended = lanes(&setup, &["seek", "busy", "--to", "earliest"])?;
    ended.expect_code(69)?;
    let told = "lane `busy`: group `lanes-running.busy` has active members: `lanes-running.busy` from 127.0.0.1; stop them first";
    ensure!(ended.stderr.contains(told), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    // Who comes between the look and the move is seen by the broker.
    let group =
        Group::open(&ClusterSettings::plaintext([&broker.listeners.plaintext]), format!("{FEED}.busy"))?;
    let positions = group.positions(&[FEED.to_owned()])?;
    let error = group.seek(&group.plan(&positions, SeekTo::Earliest)?).expect_err("it is refused");
    assert_eq!(error.kind(), GroupErrorKind::Active, "{error}");
    ensure!(error.to_string().contains("from 127.0.0.1"), "{error}");
    assert_eq!(stands(&setup, "busy")?, (10, 0, json!(1)));
    service.stop()?.expect_code(0)
}

#[test]
fn what_is_wrong_with_a_move_is_told() -> anyhow::Result<()> {
    const FEED: &str = "lanes-wrong";
    let broker = Broker::of_this_run()?;
    let setup = setup(&broker, FEED, &["one", "two"])?;
    for (args, told) in [
        (&["three", "--to", "earliest"][..], "there is no lane `three`; known are `one`, `two`"),
        (&["one", "--to", "2026-11-25"], "expected `T` and a time of day at position 11"),
        (&["one", "--to", "7"], "an offset is one of a partition: add --topic and --partition"),
        (&["one", "--to", "7", "--topic", FEED, "--partition", "1"], "has no offset 7; choose one of 0 to 0"),
        (
            &["one", "--to", "7", "--topic", FEED, "--partition", "9"],
            "there is no partition 9; the topic has 2, from 0",
        ),
        (
            &["one", "--to", "latest", "--topic", "other"],
            "`other` is no topic of the feed; those are `lanes-wrong`",
        ),
        (&["one", "--all", "--to", "latest"], "cannot be used with"),
        (&["--to", "latest"], "required arguments were not provided"),
    ] {
        let ended = lanes(&setup, &[&["seek"], args].concat())?;
        ended.expect_code(64)?;
        ensure!(ended.stderr.contains(told), "{args:?}: {}", ended.stderr);
    }
    setup.feed("kind = \"ndjson\"\npath = \"-\"")?;
    let ended = lanes(&setup, &["list"])?;
    ended.expect_code(64)?;
    ensure!(ended.stderr.contains("which keep no position"), "{}", ended.stderr);
    setup.feed("kind = \"kafka\"\nbootstrap_servers = \"127.0.0.1:1\"\ntopics = [\"x\"]")?;
    let ended = lanes(&setup, &["list"])?;
    ended.expect_code(69)?;
    ensure!(ended.stderr.contains("Connection refused"), "{}", ended.stderr);
    Ok(())
}

/// Connections that share a lane read the feed once, as one group; one that drops on hold does not hold up the others.
#[test]
fn connections_can_share_a_lane() -> anyhow::Result<()> {
    const FEED: &str = "lanes-shared";
    let broker = Broker::of_this_run()?;
    let setup = setup(&broker, FEED, &["one", "two", "own"])?;
    let targets = json!([{
        "address": "lanes-shared-nowhere", "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"],
    }]);
    setup.connection(&definition("dropping", &broker.listeners.plaintext, &targets))?;
    setup.feed(&format!(
        "kind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"{FEED}\"]\nstart_at = \"earliest\"\n\
         group_id = \"{FEED}\"\ninternal_headers = \"trust\"\n[lanes]\nlane = \"shared\"\n\
         [lanes.connection.own]\nlane = \"own\"\n[lanes.connection.dropping]\non_hold = \"drop\"",
        broker.listeners.plaintext
    ))?;
    write(&broker, FEED, 0..100)?;
    let service = setup.start_run()?;
    for id in ["one", "two", "own"] {
        broker.wait_for(&format!("{FEED}-{id}"), 100)?;
    }
    let status = service.status()?;
    let lanes_said: Vec<_> = status["lanes"]
        .as_array()
        .context("no lanes")?
        .iter()
        .map(|lane| {
            (lane["name"].as_str().unwrap_or_default(), lane["connections"].to_string(), &lane["received"])
        })
        .collect();
    let shared = r#"["dropping","one","two"]"#.to_owned();
    let expected = [("@shared", shared, &json!(100)), ("own", r#"["own"]"#.to_owned(), &json!(100))];
    assert_eq!(lanes_said, expected, "each lane reads the feed once");
    let ended = service.stop()?;
    ended.expect_code(0)?;
    assert!(ended.stderr.contains("100 dropped (on-hold)"), "{}", ended.stderr);
    let ended = lanes(&setup, &["list"])?;
    ensure!(
        ended.stdout.contains("lane @shared (group lanes-shared), connections: dropping, one, two"),
        "{}",
        ended.stdout
    );
    Ok(())
}
