//! Dead letters: written before the feed goes on, held while they cannot be, and published again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use anyhow::ensure;
use ditto_tests::broker::Broker;
use ditto_tests::service::{Ended, Setup, definition, event};
use ditto_tests::topics::{Consumed, Written};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

fn setup(broker: &Broker, name: &str, more: &str) -> anyhow::Result<Setup> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    setup.feed(&format!(
        "kind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"{name}-feed\"]\nstart_at = \"earliest\"\n\
         internal_headers = \"trust\"\ngroup_id = \"{name}\"\n[lanes]\ndead_letters = \"{{{{ connection:id }}}}-letters\"\n{more}",
        broker.listeners.plaintext
    ))?;
    Ok(setup)
}

fn connect(setup: &Setup, broker: &Broker, name: &str, address: &str, subject: &str) -> anyhow::Result<()> {
    let target = |address: &str| json!({"address": address, "topics": ["_/_/things/twin/events"], "authorizationContext": [subject]});
    let targets = json!([target(&format!("{name}-other/k")), target(&format!("{name}-out/{address}"))]);
    setup.connection(&definition(name, &broker.listeners.plaintext, &targets))
}

/// Signals of which each second one has no key.
fn signals(numbers: Range<usize>) -> impl Iterator<Item = Written> {
    numbers.map(|n| {
        let headers = if n % 2 == 0 { json!({"key": "k"}) } else { json!({}) };
        Written::of(event(["one", "two"][n / 2 % 2], n, &headers))
    })
}

fn redrive(setup: &Setup, name: &str, more: &[&str]) -> anyhow::Result<Ended> {
    let command = ["dead-letters", "redrive", "--config", "config.toml", "--connection", name];
    setup.execute(&[&command, more].concat())
}

/// Values by key, in the order of the topic.
fn by_key(records: &[Consumed]) -> anyhow::Result<BTreeMap<String, Vec<u64>>> {
    let mut values = BTreeMap::<String, Vec<u64>>::new();
    for record in records {
        let message: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default())?;
        values.entry(record.key_text()).or_default().push(message["value"].as_u64().unwrap_or(u64::MAX));
    }
    Ok(values)
}

#[test]
fn letters_are_held_until_their_topic_is_there_and_published_again_once_the_definition_is_mended()
-> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    for topic in ["buried-feed", "buried-out", "buried-other", "buried-originals"] {
        broker.create_topic(topic, 1, &[])?;
    }
    let setup = setup(&broker, "buried", "[dead_letters]\ntopic = \"buried-originals\"")?;
    connect(&setup, &broker, "buried", "{{ header:key }}", "integ:reader")?;
    let restricted = json!({
        "topic": "org.acme/one/things/twin/events/modified", "path": "/attributes", "revision": 90,
        "headers": {
            "ditto-read-subjects": ["integ:reader", "integ:all"],
            "ditto-partial-access-paths": {"subjects": ["integ:reader"], "paths": {"attributes/n": [0]}},
        },
        "value": {"n": 5, "hidden": "hidden-from-reader"},
    });
    let undecodable = Written {
        key: Some(b"a key".to_vec()),
        headers: vec![("first".to_owned(), b"1".to_vec()), ("ditto-origin".to_owned(), vec![0xff, 0])],
        value: Some(b"no \xff signal".to_vec()),
    };
    let others = [undecodable.clone(), Written::of(restricted.to_string())];
    broker.write("buried-feed", signals(0..20).chain(others))?;

    // Nothing is committed beyond the first one that has no letter; the others go on.
    let service = setup.start_run()?;
    broker.wait_for("buried-out", 10)?;
    broker.wait_for("buried-other", 21)?;
    let (_, said) = service.wait_for_status("misconfigured", SOON)?;
    let reason = said["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("dead letters `buried-letters`: topic refused"), "{reason}");
    assert_eq!(said["deadLetters"]["inFlight"], 11, "{said}");
    assert_eq!(said["targets"][1]["failed"], json!({"address-unresolved": 11}), "{said}");
    assert_eq!(broker.lag("buried-feed", "buried.buried")?, 21);

    broker.create_topic("buried-letters", 2, &[])?;
    broker.wait_for("buried-letters", 11)?;
    let (_, said) = service.wait_for_status("open", SOON)?;
    assert_eq!(said["deadLetters"]["written"], 11, "{said}");
    let ended = service.stop()?;
    ended.expect_code(0)?;
    assert!(
        ended.stderr.contains("dead letters of buried → buried-letters: 11 due, 11 written"),
        "{}",
        ended.stderr
    );
    assert_eq!(broker.lag("buried-feed", "buried.buried")?, 0);

    let letters = broker.consume("buried-letters")?;
    let first =
        letters.iter().find(|it| it.header("correlation-id").is_empty() && it.value_text().contains("n-1\""));
    let first = first.expect("the letter of the first failure");
    assert_eq!(first.key_text(), "org.acme:one");
    for (name, value) in [
        ("ditto-connection-id", "buried"),
        ("ditto-dead-letter-reason", "address-unresolved"),
        (
            "ditto-dead-letter-error",
            "address `buried-out/{{ header:key }}` has a placeholder without a value",
        ),
        ("ditto-dead-letter-target", "1"),
        ("ditto-dead-letter-address", "buried-out/{{ header:key }}"),
        ("ditto-dead-letter-attempt", "1"),
        ("ditto-dead-letter-feed-topic", "buried-feed"),
        ("ditto-dead-letter-feed-partition", "0"),
        ("ditto-dead-letter-feed-offset", "1"),
    ] {
        assert_eq!(first.header(name), value, "{name}");
    }
    let everything = format!("{letters:?}{}", letters.iter().map(Consumed::value_text).collect::<String>());
    assert!(!everything.contains("hidden-from-reader") && !everything.contains("integ:all"));

    let originals = broker.contents("buried-originals")?;
    assert_eq!(originals.len(), 12);
    let original = originals.iter().find(|it| it.key.is_some()).expect("that which is no signal");
    assert_eq!((&original.key, &original.value), (&undecodable.key, &undecodable.value), "byte for byte");
    assert_eq!(original.headers.get(..2), Some(&*undecodable.headers), "{:?}", original.headers);
    assert_eq!(original.header("ditto-dead-letter-reason"), "invalid-utf-8");
    let text = restricted.to_string();
    assert_eq!(originals.iter().filter(|it| it.value_text() == text).count(), 1);

    // A definition that is no better: what fails again is a letter again.
    let ended = redrive(&setup, "buried", &[])?;
    ended.expect_code(1)?;
    assert!(ended.stdout.contains("0 published, 11 failed again, 11 address-unresolved"), "{}", ended.stdout);
    broker.wait_for("buried-letters", 22)?;
    let letters = broker.consume("buried-letters")?;
    assert_eq!(letters.iter().filter(|it| it.header("ditto-dead-letter-attempt") == "2").count(), 11);

    // Another subject, which could not read them then.
    connect(&setup, &broker, "buried", "{{ thing:id }}", "integ:all")?;
    let ended = redrive(&setup, "buried", &["--dry-run"])?;
    assert!(ended.stdout.contains("11 address-unresolved, 11 not published again yet"), "{}", ended.stdout);
    let ended = redrive(&setup, "buried", &[])?;
    ended.expect_code(0)?;
    assert!(ended.stdout.contains("11 passed over: for other subjects"), "{}", ended.stdout);
    assert_eq!(broker.count("buried-out")?, 10);

    // Mended: each goes to its target, and to no other.
    connect(&setup, &broker, "buried", "{{ thing:id }}", "integ:reader")?;
    let ended = redrive(&setup, "buried", &["--from", "earliest", "--reason", "record"])?;
    assert!(ended.stdout.contains("22 passed over: of another reason"), "{}", ended.stdout);
    let ended = redrive(&setup, "buried", &[])?;
    ended.expect_code(0)?;
    assert!(ended.stdout.contains("no letters"), "{}", ended.stdout);
    let ended = redrive(&setup, "buried", &["--from", "earliest"])?;
    ended.expect_code(0)?;
    assert!(ended.stdout.contains("22 published, 0 failed again"), "{}", ended.stdout);
    assert_eq!((broker.count("buried-out")?, broker.count("buried-other")?), (32, 21));
    let published = broker.contents("buried-out")?;
    assert!(!published.iter().any(|it| it.value_text().contains("hidden-from-reader")));
    let ended = setup.execute(&[
        "dead-letters",
        "list",
        "--config",
        "config.toml",
        "--connection",
        "buried",
        "--format",
        "json",
    ])?;
    ended.expect_code(0)?;
    let listed: Value = serde_json::from_str(ended.stdout.lines().next().unwrap_or_default())?;
    assert_eq!((&listed["letters"], &listed["ahead"]), (&22.into(), &0.into()), "{listed}");
    Ok(())
}

/// reliability.md: at least once, for letters as well.
#[test]
fn a_kill_while_letters_are_written_loses_none() -> anyhow::Result<()> {
    const SIGNALS: usize = 12_000;
    let broker = Broker::of_this_run()?;
    for (topic, partitions) in
        [("killed-feed", 1), ("killed-out", 1), ("killed-other", 1), ("killed-letters", 3)]
    {
        broker.create_topic(topic, partitions, &[])?;
    }
    let setup = setup(&broker, "killed", "")?;
    connect(&setup, &broker, "killed", "{{ header:key }}", "integ:reader")?;
    broker.write("killed-feed", signals(0..SIGNALS))?;
    let letters = |part: usize| SIGNALS / 2 * part / 4;
    for part in 1..=3 {
        let service = setup.start_run()?;
        broker.wait_for("killed-letters", letters(part))?;
        service.kill()?;
    }
    let service = setup.start_run()?;
    let start = std::time::Instant::now();
    while broker.lag("killed-feed", "killed.killed")? > 0 {
        ensure!(start.elapsed() < Duration::from_secs(60), "it is not read to its end");
        std::thread::sleep(Duration::from_millis(200));
    }
    service.stop()?.expect_code(0)?;
    let written = by_key(&broker.contents("killed-letters")?)?;
    let mut all = Vec::new();
    for (thing, values) in written {
        let mut first = Vec::new();
        for value in values {
            if !first.contains(&value) {
                first.push(value);
            }
        }
        assert!(first.is_sorted(), "{thing}: first in order");
        all.extend(first);
    }
    all.sort_unstable();
    assert!(all.iter().copied().eq((0..SIGNALS as u64).filter(|n| n % 2 == 1)), "{} letters", all.len());
    Ok(())
}
