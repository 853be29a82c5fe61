//! Connections that come, change and go while signals flow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::ensure;
use ditto_connectivity::{ConnectionCommand, Put, Recovery, RegistryError, Word};
use serde_json::{Value, json};

use crate::{Service, ensure_each_once, eventually, id, to, write};

#[test]
fn what_is_created_at_run_time_publishes_until_it_is_closed() -> anyhow::Result<()> {
    const OUT: &str = "registry-created";
    let service = Service::start("registry-created-at-run-time")?;
    let server = service.broker.listeners.plaintext.clone();
    service.broker.create_topic(OUT, 2, &[])?;
    assert_eq!(service.registry.status(&id("a")), None);
    // Written before it is there, and `start_at` is `earliest`: the first time it counts.
    service.write(0..10)?;
    let created = service.put(&to("a", &server, OUT))?;
    assert!(matches!(created, Put::Created(_)));
    // A new one is answered before it has connected; who opens it again waits for that.
    service.block_on(service.registry.command(&id("a"), ConnectionCommand::Open))?;
    let standing = service.registry.status(&id("a")).unwrap();
    assert_eq!((standing.live, standing.recovery), (Word::Open, Recovery::Succeeded));
    let opened = Instant::now();
    service.write(10..20)?;
    service.broker.wait_for(OUT, 20)?;
    println!("the first records are there {:?} after it was opened", opened.elapsed());

    service.block_on(service.registry.command(&id("a"), ConnectionCommand::Close))?;
    let standing = service.registry.status(&id("a")).unwrap();
    assert_eq!((standing.live, standing.recovery), (Word::Closed, Recovery::Unknown));
    service.write(20..30)?;
    // What happens while it is closed is not delivered.
    service.block_on(service.registry.command(&id("a"), ConnectionCommand::Open))?;
    service.write(30..40)?;
    service.broker.wait_for(OUT, 30)?;
    // Nor what happens while it is not there at all.
    service.delete("a");
    service.write(40..50)?;
    service.put(&to("a", &server, OUT))?;
    service.block_on(service.registry.command(&id("a"), ConnectionCommand::Open))?;
    service.write(50..60)?;
    service.broker.wait_for(OUT, 40)?;
    let broker = service.broker.clone();
    let report = service.stop()?;
    assert_eq!((report.totals().published, report.totals().in_flight), (40, 0));
    ensure_each_once(&broker.contents(OUT)?, (0..20).chain(30..40).chain(50..60))
}

#[test]
fn a_definition_changes_under_load_and_nothing_is_lost_or_reordered() -> anyhow::Result<()> {
    const OUT: [&str; 2] = ["registry-changed-0", "registry-changed-1"];
    const RECORDS: usize = 40_000;
    let service = Service::start("registry-changed-under-load")?;
    let server = service.broker.listeners.plaintext.clone();
    for out in OUT {
        service.broker.create_topic(out, 2, &[])?;
    }
    // The filter changes with each definition, and holds: which definition has judged a signal says a header.
    let version = |n: usize| {
        let filter = format!("_/_/things/twin/events?filter=gt(attributes/n,-{})", n + 1);
        let mut definition = to("b", &server, OUT[0]);
        definition["targets"][0]["topics"] = json!([filter]);
        definition["targets"][0]["headerMapping"] = json!({"version": n.to_string()});
        // Another producer now and then: with a login, to another listener.
        if n.is_multiple_of(4) {
            let (user, password) = (&service.broker.username, &service.broker.password);
            let server = &service.broker.listeners.sasl_plaintext;
            definition["uri"] = format!("tcp://{user}:{password}@{server}").into();
            definition["specificConfig"] = json!({"bootstrapServers": server, "saslMechanism": "plain"});
        }
        definition
    };
    service.put(&version(0))?;
    service.block_on(service.registry.command(&id("b"), ConnectionCommand::Open))?;
    let (broker, feed, is_written) = (service.broker.clone(), service.feed.clone(), AtomicBool::new(false));
    let changes = std::thread::scope(|scope| -> anyhow::Result<usize> {
        let writing = scope.spawn(|| {
            let written =
                (0..RECORDS / 1_000).try_for_each(|n| write(&broker, &feed, n * 1_000..(n + 1) * 1_000));
            is_written.store(true, Ordering::Release);
            written
        });
        let mut n = 0;
        while !is_written.load(Ordering::Acquire) || n < 5 {
            n += 1;
            assert!(matches!(service.put(&version(n))?, Put::Modified(_)));
        }
        writing.join().unwrap()?;
        Ok(n)
    })?;
    service.broker.wait_for(OUT[0], RECORDS)?;
    let records = service.broker.contents(OUT[0])?;
    ensure_each_once(&records, 0..RECORDS)?;
    // Per partition, versions only rise: each signal was judged by the definition in force.
    for partition in 0..2 {
        let versions = records.iter().filter(|it| it.partition == partition);
        let versions: Vec<usize> =
            versions.map(|it| it.header("version").parse()).collect::<Result<_, _>>()?;
        ensure!(versions.is_sorted(), "partition {partition}");
    }
    let seen: std::collections::BTreeSet<_> = records.iter().map(|it| it.header("version")).collect();
    println!("{changes} changes, {} of them have judged signals", seen.len());
    ensure!(seen.len() >= 2, "no change came while signals flowed");
    let report = service.stop()?;
    assert_eq!(report.totals().published, RECORDS as u64);
    Ok(())
}

#[test]
fn what_is_deleted_gives_back_threads_and_files() -> anyhow::Result<()> {
    const OUT: &str = "registry-leak";
    let service = Service::start("registry-leak")?;
    let server = service.broker.listeners.plaintext.clone();
    service.broker.create_topic(OUT, 2, &[])?;
    let life = |name: &str| -> anyhow::Result<()> {
        service.put(&to(name, &server, OUT))?;
        service.block_on(service.registry.command(&id(name), ConnectionCommand::Open))?;
        service.delete(name);
        Ok(())
    };
    // Some things are made once for the process.
    life("first")?;
    eventually("nothing is left of the first", || Ok(used()?.0 < 20))?;
    let settled = || -> anyhow::Result<(usize, usize)> {
        let mut last = used()?;
        loop {
            std::thread::sleep(std::time::Duration::from_millis(500));
            let now = used()?;
            if now == last {
                return Ok(now);
            }
            last = now;
        }
    };
    let before = settled()?;
    for n in 0..8 {
        life(&format!("c{n}"))?;
    }
    println!("threads and files: {before:?}, and just after eight lives {:?}", used()?);
    eventually("threads and files are those of before", || {
        let now = used()?;
        Ok(now.0 <= before.0 && now.1 <= before.1)
    })?;
    assert_eq!(service.registry.list(), []);
    service.stop()?;
    Ok(())
}

/// Threads and files of this process.
fn used() -> anyhow::Result<(usize, usize)> {
    let count = |folder: &str| anyhow::Ok(std::fs::read_dir(folder)?.count());
    Ok((count("/proc/self/task")?, count("/proc/self/fd")?))
}

#[test]
fn it_says_of_itself_that_it_opens_and_closes() -> anyhow::Result<()> {
    const OUT: &str = "registry-announced";
    let service = Service::start("registry-announcements")?;
    let server = service.broker.listeners.plaintext.clone();
    service.broker.create_topic(OUT, 1, &[])?;
    let mut definition = to("a", &server, "registry-announced-not");
    service.broker.create_topic("registry-announced-not", 1, &[])?;
    definition["targets"].as_array_mut().unwrap().push(json!({
        "address": OUT, "topics": ["_/_/connections/announcements"], "authorizationContext": ["a:b"],
    }));
    service.put(&definition)?;
    service.block_on(service.registry.command(&id("a"), ConnectionCommand::Open))?;
    service.broker.wait_for(OUT, 1)?;
    // A change is neither.
    definition["name"] = "changed".into();
    service.put(&definition)?;
    service.block_on(service.registry.command(&id("a"), ConnectionCommand::Close))?;
    assert_eq!(service.broker.count(OUT)?, 2, "it is delivered when it is answered");
    service.block_on(service.registry.command(&id("a"), ConnectionCommand::Open))?;
    service.broker.wait_for(OUT, 3)?;
    let broker = service.broker.clone();
    service.stop()?;
    let records = broker.contents(OUT)?;
    let said: Vec<(String, Value)> = records
        .iter()
        .map(|it| Ok((it.header("ditto-connection-id"), serde_json::from_str(&it.value_text())?)))
        .collect::<anyhow::Result<_>>()?;
    let topics: Vec<_> = said.iter().map(|(_, it)| it["topic"].as_str().unwrap()).collect();
    let topic = |what: &str| format!("_/a/connections/announcements/{what}");
    assert_eq!(topics, ["opened", "closed", "opened", "closed"].map(topic));
    for ((from, message), member) in said.iter().zip(["openedAt", "closedAt"].into_iter().cycle()) {
        assert_eq!((from.as_str(), &message["path"]), ("a", &json!("/")));
        assert!(message["value"][member].as_str().unwrap().starts_with("20"), "{message}");
    }
    assert_eq!(records[0].header("content-type"), "application/vnd.eclipse.ditto+json");
    assert_eq!(records[0].key, None);
    Ok(())
}

#[test]
fn a_trial_connects_logs_in_and_looks_for_topics() -> anyhow::Result<()> {
    let service = Service::start("registry-trial")?;
    let listeners = service.broker.listeners.clone();
    service.broker.create_topic("registry-tried", 1, &[])?;
    let test = |definition: Value| {
        let connection = ditto_connection::Connection::from_json(&definition.to_string()).unwrap();
        match service.block_on(service.registry.test(&connection)) {
            Ok(()) => Ok(()),
            Err(RegistryError::Failed { failure, .. }) => Err((failure.is_misconfigured, failure.reason)),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(test(to("x", &listeners.plaintext, "registry-tried")), Ok(()));
    let (is_misconfigured, why) = test(to("x", &listeners.plaintext, "registry-nowhere")).unwrap_err();
    assert!(is_misconfigured && why.contains("topic `registry-nowhere`"), "{why}");
    let (is_misconfigured, why) = test(to("x", "127.0.0.1:1", "registry-tried")).unwrap_err();
    assert!(!is_misconfigured && why.contains("127.0.0.1:1"), "{why}");
    let mut login = to("x", &listeners.sasl_plaintext, "registry-tried");
    login["uri"] = format!("tcp://{}:wrong@{}", service.broker.username, listeners.sasl_plaintext).into();
    let (is_misconfigured, why) = test(login).unwrap_err();
    assert!(is_misconfigured && why.to_lowercase().contains("auth"), "{why}");
    assert_eq!(service.registry.list(), []);
    service.stop()?;
    Ok(())
}
