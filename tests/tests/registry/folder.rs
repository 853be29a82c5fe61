//! A folder of definitions that changes while the service runs.

use anyhow::ensure;
use ditto_tests::broker::Broker;
use ditto_tests::process;
use ditto_tests::service::{Service, Setup};

use crate::{ensure_each_once, eventually, to, write};

fn setup(broker: &Broker, feed: &str, poll: &str, lane: &str) -> anyhow::Result<Setup> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    setup.write(
        "config.toml",
        format!(
            "connections = \"connections\"\ngrace = \"20s\"\n[store]\npoll = \"{poll}\"\n[lanes]\nlane = \"{lane}\"\n\
             [feed]\nkind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"{feed}\"]\n\
             group_id = \"{feed}-{poll}\"\ninternal_headers = \"trust\"\n",
            broker.listeners.plaintext
        ),
    )?;
    Ok(setup)
}

fn ids(service: &Service) -> anyhow::Result<Vec<String>> {
    let status = service.status()?;
    let ids = status["connections"].as_array().into_iter().flatten();
    Ok(ids.filter_map(|it| it["id"].as_str().map(str::to_owned)).collect())
}

/// Has the folder read again, for the n-th time, and waits until it has been.
fn reload(service: &Service, n: usize) -> anyhow::Result<()> {
    process::signal(service.pid(), "HUP")?;
    eventually("connections are read again", || {
        Ok(service.log()?.matches("connections read again").count() >= n)
    })
}

/// Until the lanes have their positions. Before it has started it would end by the signal that asks it.
fn wait_for_partitions(service: &Service, count: usize) -> anyhow::Result<()> {
    eventually("the lanes have their positions", || Ok(service.partitions()?.0 >= count))
}

#[test]
fn what_changes_in_a_folder_changes_at_run_time() -> anyhow::Result<()> {
    changes("own")
}

#[test]
fn it_changes_in_a_shared_lane_too() -> anyhow::Result<()> {
    changes("shared")
}

fn changes(lane: &str) -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let (feed, server) = (format!("registry-folder-{lane}-feed"), &broker.listeners.plaintext);
    broker.create_topic(&feed, 2, &[])?;
    let out: Vec<String> = (1..=3).map(|n| format!("registry-folder-{lane}-{n}")).collect();
    for out in &out {
        broker.create_topic(out, 2, &[])?;
    }
    let setup = setup(&broker, &feed, "0s", lane)?;
    setup.connection(&to("one", server, &out[0]))?;
    let service = setup.start_run()?;
    wait_for_partitions(&service, 2)?;
    write(&broker, &feed, 0..10)?;
    broker.wait_for(&out[0], 10)?;

    setup.connection(&to("two", server, &out[1]))?;
    // Broken: what runs stays, and it is told.
    setup.write("connections/one.json", "{ \"id\": \"one\", ")?;
    reload(&service, 1)?;
    assert_eq!(ids(&service)?, ["one", "two"]);
    wait_for_partitions(&service, if lane == "own" { 4 } else { 2 })?;
    let log = service.log()?;
    ensure!(log.contains("connection `one` stays as it was") && log.contains("one.json"), "{log}");
    write(&broker, &feed, 10..20)?;
    broker.wait_for(&out[0], 20)?;
    broker.wait_for(&out[1], 10)?;

    // Mended, and another target; the other one is not touched.
    setup.connection(&to("one", server, &out[2]))?;
    reload(&service, 2)?;
    write(&broker, &feed, 20..30)?;
    broker.wait_for(&out[1], 20)?;
    broker.wait_for(&out[2], 10)?;
    std::fs::remove_file(setup.path("connections/two.json"))?;
    reload(&service, 3)?;
    assert_eq!(ids(&service)?, ["one"]);
    write(&broker, &feed, 30..40)?;
    broker.wait_for(&out[2], 20)?;
    let ended = service.stop()?;
    ended.expect_code(0)?;
    let touched = ended.stderr.matches("connections read again changed=1").count();
    ensure!(touched == 3, "only what is different is touched:\n{}", ended.stderr);
    ensure_each_once(&broker.contents(&out[0])?, 0..20)?;
    ensure_each_once(&broker.contents(&out[1])?, 10..30)?;
    ensure_each_once(&broker.contents(&out[2])?, 20..40)
}

#[test]
fn a_folder_is_looked_at_now_and_then() -> anyhow::Result<()> {
    const FEED: &str = "registry-polled-feed";
    let broker = Broker::of_this_run()?;
    broker.create_topic(FEED, 2, &[])?;
    let setup = setup(&broker, FEED, "100ms", "own")?;
    setup.connection(&to("one", &broker.listeners.plaintext, "t"))?;
    let service = setup.start_run()?;
    wait_for_partitions(&service, 2)?;
    setup.connection(&to("two", &broker.listeners.plaintext, "t"))?;
    eventually("the other one runs too", || Ok(ids(&service)? == ["one", "two"]))?;
    service.stop()?.expect_code(0)
}
