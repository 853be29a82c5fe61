//! A folder of definitions that changes while the service runs.

use anyhow::ensure;
use ditto_tests::broker::Broker;
use ditto_tests::process;
use ditto_tests::service::{Service, Setup};
use serde_json::Value;

use crate::{ensure_each_once, eventually, to, write};

const FEED: &str = "registry-folder-feed";

fn setup(broker: &Broker, poll: &str) -> anyhow::Result<Setup> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    setup.write(
        "config.toml",
        format!(
            "connections = \"connections\"\ngrace = \"20s\"\n[store]\npoll = \"{poll}\"\n[feed]\nkind = \"kafka\"\n\
             bootstrap_servers = \"{}\"\ntopics = [\"{FEED}\"]\ngroup_id = \"registry-folder-{poll}\"\n\
             internal_headers = \"trust\"\n",
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

fn wait_for(service: &Service, expected: &[&str]) -> anyhow::Result<()> {
    eventually(&format!("{expected:?} run"), || Ok(ids(service)? == expected))
}

/// Until all lanes have their position.
fn wait_for_partitions(service: &Service, count: usize) -> anyhow::Result<()> {
    eventually("the lanes have their positions", || Ok(service.partitions()?.0 >= count))
}

#[test]
fn what_changes_in_a_folder_changes_at_run_time() -> anyhow::Result<()> {
    const OUT: [&str; 3] = ["registry-folder-1", "registry-folder-2", "registry-folder-3"];
    let broker = Broker::of_this_run()?;
    broker.create_topic(FEED, 2, &[])?;
    for out in OUT {
        broker.create_topic(out, 2, &[])?;
    }
    let setup = setup(&broker, "0s")?;
    let server = &broker.listeners.plaintext;
    setup.connection(&to("one", server, OUT[0]))?;
    let service = setup.start_run()?;
    // Before it has started it would end by the signal that asks it.
    wait_for_partitions(&service, 2)?;
    wait_for(&service, &["one"])?;
    write(&broker, FEED, 0..10)?;
    broker.wait_for(OUT[0], 10)?;

    setup.connection(&to("two", server, OUT[1]))?;
    // Broken: what runs stays, and it is told.
    setup.write("connections/one.json", "{ \"id\": \"one\", ")?;
    process::signal(service.pid(), "HUP")?;
    wait_for(&service, &["one", "two"])?;
    wait_for_partitions(&service, 4)?;
    let log = service.log()?;
    ensure!(log.contains("connection `one` stays as it was") && log.contains("one.json"), "{log}");
    write(&broker, FEED, 10..20)?;
    broker.wait_for(OUT[0], 20)?;
    broker.wait_for(OUT[1], 10)?;

    // Mended, and another target; the other one is not touched.
    setup.connection(&to("one", server, OUT[2]))?;
    process::signal(service.pid(), "HUP")?;
    let address = || -> anyhow::Result<Value> {
        Ok(service.status()?["connections"][0]["targets"][0]["address"].clone())
    };
    eventually("the other target is served", || {
        Ok(address()?.as_str().unwrap_or_default().contains(OUT[2]))
    })?;
    write(&broker, FEED, 20..30)?;
    broker.wait_for(OUT[1], 20)?;
    broker.wait_for(OUT[2], 10)?;
    std::fs::remove_file(setup.path("connections/two.json"))?;
    process::signal(service.pid(), "HUP")?;
    wait_for(&service, &["one"])?;
    write(&broker, FEED, 30..40)?;
    broker.wait_for(OUT[2], 20)?;
    let ended = service.stop()?;
    ended.expect_code(0)?;
    ensure!(ended.stderr.contains("changed=1"), "only what is different is touched:\n{}", ended.stderr);
    ensure_each_once(&broker.contents(OUT[0])?, 0..20)?;
    ensure_each_once(&broker.contents(OUT[1])?, 10..30)?;
    ensure_each_once(&broker.contents(OUT[2])?, 20..40)?;

    // Without being told.
    let setup = self::setup(&broker, "100ms")?;
    setup.connection(&to("one", server, OUT[0]))?;
    let service = setup.start_run()?;
    wait_for_partitions(&service, 2)?;
    setup.connection(&to("two", server, OUT[1]))?;
    wait_for(&service, &["one", "two"])?;
    service.stop()?.expect_code(0)
}
