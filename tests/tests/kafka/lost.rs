//! An instance that stands still for longer than its session: its partitions go on elsewhere, and when it wakes it neither
//! commits for them nor reads on.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ditto_tests::broker::Broker;
use ditto_tests::service::{Service, Setup, definition, event};
use ditto_tests::topics::Written;
use serde_json::{Value, json};

const FEED: &str = "lost-feed";
const OUTPUT: &str = "lost-output";
const GROUP: &str = "lost.sleeper";

fn write(broker: &Broker, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    let record = |n: usize| Written {
        key: Some(format!("key-{n}").into_bytes()),
        ..Written::of(event("thing", n, &json!({})))
    };
    broker.write(FEED, numbers.map(record))
}

fn signal(service: &Service, name: &str) -> anyhow::Result<()> {
    let status = Command::new("kill").args([name, &service.pid().to_string()]).status()?;
    ensure!(status.success(), "kill {name} failed");
    Ok(())
}

fn wait(what: &str, is_so: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let start = Instant::now();
    while !is_so()? {
        ensure!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn a_sleeper_commits_nothing_for_what_it_has_lost() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    broker.create_topic(FEED, 2, &[])?;
    broker.create_topic(OUTPUT, 1, &[])?;
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let targets = json!([{
        "address": OUTPUT, "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"],
    }]);
    setup.connection(&definition("sleeper", &broker.listeners.plaintext, &targets))?;
    setup.feed(&format!(
        "kind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"{FEED}\"]\nstart_at = \"earliest\"\n\
         group_id = \"lost\"\ninternal_headers = \"trust\"\nsession_timeout = \"6s\"",
        broker.listeners.plaintext
    ))?;
    let sleeper = setup.start_run()?;
    write(&broker, 0..20)?;
    broker.wait_for(OUTPUT, 20)?;
    wait("everything is committed", || Ok(broker.lag(FEED, GROUP)? == 0))?;

    signal(&sleeper, "-STOP")?;
    let other = setup.start_run()?;
    write(&broker, 20..40)?;
    broker.wait_for(OUTPUT, 40)?;
    wait("the other commits", || Ok(broker.lag(FEED, GROUP)? == 0))?;
    signal(&sleeper, "-CONT")?;
    wait("the sleeper is told", || Ok(sleeper.log()?.contains("kafka partitions lost")))?;
    write(&broker, 40..60)?;
    // What the sleeper had fetched may be there twice: records alone do not tell.
    wait("each is published", || {
        let mut values = std::collections::BTreeSet::new();
        for record in broker.contents(OUTPUT)? {
            values.insert(serde_json::from_str::<Value>(&record.value_text())?["value"].as_u64());
        }
        Ok(values.len() == 60)
    })?;
    sleeper.stop()?.expect_code(0)?;
    other.stop()?.expect_code(0)?;
    assert_eq!(broker.lag(FEED, GROUP)?, 0);

    let consumed = broker.consume(OUTPUT)?;
    let value = |text: String| serde_json::from_str::<Value>(&text)?["value"].as_u64().context("no number");
    let mut values = consumed.iter().map(|it| value(it.value_text())).collect::<anyhow::Result<Vec<_>>>()?;
    values.sort_unstable();
    assert!(
        values.starts_with(&(0..20).collect::<Vec<_>>()),
        "committed before it slept, so once: {values:?}"
    );
    assert_eq!(values.iter().filter(|value| **value < 20).count(), 20, "{values:?}");
    // The brokers may have answered a fetch while it slept: what is in that answer it publishes before it hears that it
    // has lost the partitions. What has settled when they move back may come again, too. Nothing is missing.
    values.dedup();
    assert_eq!(values, (0..60).collect::<Vec<_>>());
    Ok(())
}
