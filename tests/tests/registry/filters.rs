//! A filter that changes again and again while signals flow.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ditto_tests::api::{Api, path};
use ditto_tests::broker::Broker;
use ditto_tests::service::{Setup, definition};
use ditto_tests::topics::{Consumed, Written};
use serde_json::{Value, json};

const FEED: &str = "registry-filters";
const OUT: &str = "registry-filters-out";
const PARTITIONS: i32 = 4;
const RATE: usize = 20_000;
const SIGNALS: usize = 200_000;
const GROUPS: [&str; 2] = ["a", "b"];

/// The n-th definition. Its two targets have the two groups of signals, and with the next definition the other one each. So each
/// signal has exactly one target in each definition, and which one it is says what has judged it.
fn version(n: usize, server: &str) -> Value {
    let target = |target: usize| {
        let group = GROUPS[(n + target) % 2];
        json!({
            "address": format!("{OUT}/{{{{ thing:id }}}}"),
            "topics": [format!("_/_/things/twin/events?filter=eq(attributes/group,\"{group}\")")],
            "authorizationContext": ["integ:reader"],
            "headerMapping": {"version": n.to_string(), "target": target.to_string()},
        })
    };
    definition("filtered", server, &json!([target(0), target(1)]))
}

/// Things are in both groups, by turns.
fn signal(n: usize) -> Written {
    let (thing, group) = (format!("thing-{}", n % 97), GROUPS[n / 97 % 2]);
    let message = json!({
        "topic": format!("org.acme/{thing}/things/twin/events/modified"),
        "headers": {"ditto-read-subjects": ["integ:reader"]},
        "path": "/attributes", "value": {"n": n, "group": group}, "revision": n + 1,
    });
    Written { key: Some(thing.into_bytes()), ..Written::of(message.to_string()) }
}

/// The number of a signal.
fn number(record: &Consumed) -> anyhow::Result<usize> {
    let message: Value = serde_json::from_str(&record.value_text())?;
    Ok(usize::try_from(message["value"]["n"].as_u64().context("no number")?)?)
}

#[test]
fn each_signal_is_judged_by_one_filter_while_twenty_thousand_a_second_flow() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    broker.create_topic(FEED, PARTITIONS, &[])?;
    broker.create_topic(OUT, 2, &[])?;
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    setup.managed(&broker, FEED, "", "")?;
    let service = setup.start_run()?;
    let api = Api::of(&service)?;
    let server = &broker.listeners.plaintext;
    let created = api.ask("PUT", &path("filtered", ""), Some(&version(0, server)))?;
    ensure!(created.status == 201, "{}", created.text());
    ensure!(api.command("filtered", "openConnection")?.status == 200);

    let (is_written, start) = (AtomicBool::new(false), Instant::now());
    let (changes, writing) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let writer = scope.spawn(|| {
            let paced = (0..SIGNALS).map(|n| {
                let due = Duration::from_micros((n * 1_000_000 / RATE) as u64);
                std::thread::sleep(due.saturating_sub(start.elapsed()));
                signal(n)
            });
            let written = broker.write(FEED, paced);
            is_written.store(true, Ordering::Release);
            written.map(|()| start.elapsed())
        });
        let mut changes = 0;
        while !is_written.load(Ordering::Acquire) {
            // Ten a second, unless one takes longer.
            std::thread::sleep(Duration::from_millis(100 * changes as u64).saturating_sub(start.elapsed()));
            changes += 1;
            let changed = api.ask("PUT", &path("filtered", ""), Some(&version(changes, server)))?;
            ensure!(changed.status == 204, "{} {}", changed.status, changed.text());
        }
        Ok((changes, writer.join().unwrap()?))
    })?;
    broker.wait_for(OUT, SIGNALS)?;
    let all = start.elapsed();

    // Where each signal stands in the feed.
    let mut places = BTreeMap::new();
    for record in broker.contents(FEED)? {
        places.insert(number(&record)?, (record.partition, record.offset));
    }
    let records = broker.contents(OUT)?;
    let (mut judged, mut latest) = (BTreeMap::new(), BTreeMap::<(i32, String), usize>::new());
    for record in &records {
        let n = number(record)?;
        let (version, target): (usize, usize) =
            (record.header("version").parse()?, record.header("target").parse()?);
        ensure!(
            GROUPS[(version + target) % 2] == GROUPS[n / 97 % 2],
            "signal {n} was not for target {target} of definition {version}"
        );
        let again = judged.insert(n, version);
        ensure!(again.is_none(), "signal {n} was judged by definition {version} and by {again:?}");
        if let Some(before) = latest.insert((record.partition, record.key_text()), n) {
            ensure!(before < n, "signal {n} comes after {before}");
        }
    }
    ensure!(judged.len() == SIGNALS, "{} signals are lost", SIGNALS - judged.len());
    // In the order of the feed definitions only rise: each was judged by the one in force where it stood.
    let mut by_place: Vec<_> = judged.iter().map(|(n, version)| (places[n], *version)).collect();
    by_place.sort_unstable();
    for pair in by_place.windows(2) {
        let [((partition, offset), before), ((next, _), after)] = pair else { continue };
        ensure!(partition != next || before <= after, "{partition}@{offset}: {before}, and then {after}");
    }
    let seen: std::collections::BTreeSet<_> = judged.values().collect();
    let rate = |time: Duration| SIGNALS as f64 / time.as_secs_f64();
    println!(
        "{SIGNALS} signals, written at {:.0}/s, out at {:.0}/s; {changes} changes, {} of them have judged signals",
        rate(writing),
        rate(all),
        seen.len()
    );
    ensure!(seen.len() >= 10, "only {} definitions have judged signals", seen.len());
    service.stop()?.expect_code(0)
}
