//! What closing and deleting leave behind: nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Context, ensure};
use ditto_tests::api::{Api, path};
use ditto_tests::broker::Broker;
use ditto_tests::process::Held;
use ditto_tests::service::{Service, Setup};
use serde_json::Value;

use crate::{eventually, numbers, to, write};

fn start(broker: &Broker, feed: &str) -> anyhow::Result<(Setup, Service, Api)> {
    broker.create_topic(feed, 2, &[])?;
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    setup.managed(broker, feed, "start_at = \"earliest\"", "")?;
    let service = setup.start_run()?;
    let api = Api::of(&service)?;
    Ok((setup, service, api))
}

fn open(api: &Api, definition: &Value) -> anyhow::Result<()> {
    let id = definition["id"].as_str().context("no id")?;
    let created = api.ask("PUT", &path(id, ""), Some(definition))?;
    ensure!(created.status == 201, "{}", created.text());
    let opened = api.command(id, "openConnection")?;
    ensure!(opened.status == 200, "{}", opened.text());
    Ok(())
}

#[test]
fn what_was_read_before_a_close_is_published_and_nothing_after() -> anyhow::Result<()> {
    const FEED: &str = "registry-ends";
    const OUT: [&str; 2] = ["registry-ends-closed", "registry-ends-beside"];
    const ROUNDS: usize = 5;
    let broker = Broker::of_this_run()?;
    let (_setup, service, api) = start(&broker, FEED)?;
    let server = &broker.listeners.plaintext;
    for out in OUT {
        broker.create_topic(out, 2, &[])?;
    }
    open(&api, &to("beside", server, OUT[1]))?;
    open(&api, &to("closed", server, OUT[0]))?;
    let (is_over, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    let lives = std::thread::scope(|scope| -> anyhow::Result<Vec<(usize, Vec<i64>)>> {
        let writer = scope.spawn(|| -> anyhow::Result<()> {
            while !is_over.load(Ordering::Acquire) {
                let n = written.load(Ordering::Acquire);
                write(&broker, FEED, n..n + 500)?;
                written.store(n + 500, Ordering::Release);
            }
            Ok(())
        });
        let lives = (0..ROUNDS).map(|round| {
            let (before, beside) = (broker.count(OUT[0])?, broker.count(OUT[1])?);
            broker.wait_for(OUT[0], before + 300)?;
            // By a command, and by a definition that says so.
            let closed = match round % 2 {
                0 => api.command("closed", "closeConnection")?,
                _ => {
                    let mut definition = to("closed", server, OUT[0]);
                    definition["connectionStatus"] = "closed".into();
                    api.ask("PUT", &path("closed", ""), Some(&definition))?
                }
            };
            ensure!(closed.status < 300, "{}", closed.text());
            let (count, committed) =
                (broker.count(OUT[0])?, broker.committed(FEED, &format!("{FEED}.closed"))?);
            // Time goes by, and signals with it.
            broker.wait_for(OUT[1], beside + 1_500)?;
            ensure!(broker.count(OUT[0])? == count, "it publishes after it was closed");
            let opened = api.command("closed", "openConnection")?;
            ensure!(opened.status == 200, "{}", opened.text());
            Ok((count, committed.into_iter().map(Option::unwrap_or_default).collect()))
        });
        let lives = lives.collect::<anyhow::Result<Vec<_>>>();
        is_over.store(true, Ordering::Release);
        writer.join().unwrap()?;
        lives
    })?;
    let deleted = api.ask("DELETE", &path("closed", ""), None)?;
    ensure!(deleted.status == 204, "{}", deleted.text());
    let count = broker.count(OUT[0])?;
    let written = written.into_inner();
    broker.wait_for(OUT[1], written)?;
    ensure!(broker.count(OUT[0])? == count, "it publishes after it was deleted");
    service.stop()?.expect_code(0)?;

    // The other one has all, in order.
    crate::ensure_each_once(&broker.contents(OUT[1])?, 0..written)?;
    // Of a life, what was committed when it ended is published whole: nothing that was read is lost. A life is what lies
    // between two gaps, in each partition of the feed.
    let mut places = BTreeMap::new();
    for record in broker.contents(FEED)? {
        for (_, n) in numbers(std::slice::from_ref(&record)) {
            places.insert(n[0], (usize::try_from(record.partition)?, record.offset));
        }
    }
    let published = broker.contents(OUT[0])?;
    let mut offsets = vec![Vec::new(); 2];
    for (thing, numbers) in numbers(&published) {
        ensure!(numbers.is_sorted_by(|before, after| before < after), "{thing}: {numbers:?}");
        for n in numbers {
            let (partition, offset) = places[&n];
            offsets[partition].push(offset);
        }
    }
    for (partition, offsets) in offsets.iter_mut().enumerate() {
        offsets.sort_unstable();
        let ends: Vec<i64> =
            offsets.windows(2).filter(|pair| pair[0] + 1 != pair[1]).map(|pair| pair[0] + 1).collect();
        let committed: Vec<i64> = lives.iter().map(|(_, committed)| committed[partition]).collect();
        ensure!(ends == committed, "partition {partition}: published to {ends:?}, committed {committed:?}");
    }
    println!("{ROUNDS} closes, {written} signals, {} published by lives that ended", published.len());
    Ok(())
}

#[test]
fn what_is_deleted_gives_back_clients_threads_sockets_and_files() -> anyhow::Result<()> {
    const FEED: &str = "registry-given-back";
    const OUT: &str = "registry-given-back-out";
    const LIVES: usize = 12;
    let broker = Broker::of_this_run()?;
    let (_setup, service, api) = start(&broker, FEED)?;
    broker.create_topic(OUT, 2, &[])?;
    let logged_in = |id: &str| {
        let mut definition = to(id, &broker.listeners.sasl_plaintext, OUT);
        let (user, password) = (&broker.username, &broker.password);
        definition["uri"] = format!("tcp://{user}:{password}@{}", broker.listeners.sasl_plaintext).into();
        definition["specificConfig"]["saslMechanism"] = "plain".into();
        definition
    };
    let life = |n: usize| -> anyhow::Result<Held> {
        let id = format!("c{n}");
        // With and without a login, through clients of their own and through one that others have; some do not work.
        match n % 3 {
            0 => open(&api, &to(&id, &broker.listeners.plaintext, OUT))?,
            1 => open(&api, &logged_in(&id))?,
            _ => {
                api.ask("PUT", &path(&id, ""), Some(&to(&id, "127.0.0.1:1", OUT)))?;
                let opened = api.command(&id, "openConnection")?;
                ensure!(opened.status == 504, "{} {}", opened.status, opened.text());
            }
        }
        write(&broker, FEED, 0..20)?;
        if n.is_multiple_of(2) {
            ensure!(api.command(&id, "closeConnection")?.status == 200);
        }
        let most = service.held()?;
        ensure!(api.ask("DELETE", &path(&id, ""), None)?.status == 204);
        Ok(most)
    };
    let base = service.held_at_rest()?;
    ensure!(base.clients == 0, "{base:?}");
    for n in 0..LIVES {
        let most = life(n)?;
        ensure!(n.is_multiple_of(2) || most.clients > 0, "it had no client: {most:?}");
    }
    let after = service.held()?;
    eventually("all is given back", || Ok(service.held()?.is_within(base)))?;
    println!("at first {base:?}, just after {LIVES} lives {after:?}");
    ensure!(api.ask("GET", "/api/2/connections", None)?.json() == Value::Array(Vec::new()));
    service.stop()?.expect_code(0)
}
