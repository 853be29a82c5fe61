//! The end of a process while its feed is not there any more (rust-rdkafka #509, librdkafka #4362): a client that can't end
//! is left behind, and nobody waits for it.

use std::time::{Duration, Instant};

use anyhow::ensure;
use ditto_kafka::EmbeddedCluster;
use ditto_tests::broker::Broker;
use ditto_tests::service::{Setup, definition};
use serde_json::json;

const GRACE: Duration = Duration::from_secs(5);

fn setup(feed: &str, topic: &str, target: &str) -> anyhow::Result<Setup> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let targets = json!([{
        "address": "nowhere", "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"],
    }]);
    for id in ["one", "two", "three"] {
        setup.connection(&definition(id, target, &targets))?;
    }
    setup.write(
        "config.toml",
        format!(
            "connections = \"connections\"\ngrace = \"{}s\"\n[feed]\nkind = \"kafka\"\nbootstrap_servers = \"{feed}\"\n\
             topics = [\"{topic}\"]\n",
            GRACE.as_secs()
        ),
    )?;
    Ok(setup)
}

#[test]
fn rust_rdkafka_509_the_topic_is_deleted_while_it_closes() -> anyhow::Result<()> {
    const FEED: &str = "closing-deleted";
    let broker = Broker::of_this_run()?;
    broker.create_topic(FEED, 6, &[])?;
    let setup = setup(&broker.listeners.plaintext, FEED, &broker.listeners.plaintext)?;
    let service = setup.start_run()?;
    service.wait_for_partitions()?;
    broker.delete_topic(FEED)?;
    let start = Instant::now();
    service.stop()?.expect_code(0)?;
    ensure!(start.elapsed() < GRACE + Duration::from_secs(3), "it took {:?}", start.elapsed());
    Ok(())
}

#[test]
fn the_cluster_of_the_feed_goes_away_before_it_closes() -> anyhow::Result<()> {
    let cluster = EmbeddedCluster::new(1)?;
    cluster.create_topic("feed", 2)?;
    let setup = setup(cluster.bootstrap_servers(), "feed", cluster.bootstrap_servers())?;
    let service = setup.start_run()?;
    service.wait_for_partitions()?;
    cluster.broker_down(None)?;
    let start = Instant::now();
    service.stop()?.expect_code(0)?;
    ensure!(start.elapsed() < GRACE + Duration::from_secs(3), "it took {:?}", start.elapsed());
    Ok(())
}
