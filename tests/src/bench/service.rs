//! The service: Kafka feed, decode, authorization, one target with a key and a constant header, Kafka; and the same with a
//! filter that holds, and policies instead of headers that are trusted.

use std::time::Duration;

use ditto_connectivity::{
    App, Config, DirectoryConfig, FeedConfig, KafkaFeedConfig, LanesConfig, LogConfig, Memory,
    ProducerConfig, SourceConfig, StoreConfig,
};
use ditto_kafka::{ClusterSettings, StartAt};
use ditto_outbound::{FeedPolicy, InternalHeaders};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::feed::things;
use crate::broker::Broker;
use crate::service::definition;

pub(super) fn run(broker: &Broker, from: &str, to: &str, records: usize) -> anyhow::Result<()> {
    let policy = FeedPolicy { internal_headers: InternalHeaders::Trust, ..FeedPolicy::default() };
    run_with(broker, from, to, records, "_/_/things/twin/events", policy, None)
}

pub(super) fn run_filtered(broker: &Broker, from: &str, to: &str, records: usize) -> anyhow::Result<()> {
    let topic = "_/_/things/twin/events?filter=and(gt(features/spindle/properties/speed/value,100),eq(features/spindle/properties/state,\"running\"))";
    let memory = Memory::default();
    let subjects = json!({"acme:monitoring": {"type": "bench"}, "acme:gateway": {"type": "bench"}});
    let policy = json!({"entries": {"readers": {
        "subjects": subjects, "resources": {"thing:/": {"grant": ["READ"], "revoke": []}},
    }}});
    memory.set_policy("org.acme.factory:machines", Some(policy.to_string()));
    for thing in things() {
        let state = json!({"thingId": thing, "policyId": "org.acme.factory:machines"});
        memory.set_thing(&thing, Some(state.to_string()));
    }
    let directory = DirectoryConfig::new(SourceConfig::Memory(memory));
    run_with(broker, from, to, records, topic, FeedPolicy::default(), Some(directory))
}

fn run_with(
    broker: &Broker,
    from: &str,
    to: &str,
    records: usize,
    topic: &str,
    policy: FeedPolicy,
    directory: Option<DirectoryConfig>,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let targets = json!([{
        "address": format!("{to}/{{{{ thing:id }}}}"), "topics": [topic],
        "authorizationContext": ["acme:monitoring"], "headerMapping": {"source": "bench"},
    }]);
    let definition = definition("bench", &broker.listeners.plaintext, &targets);
    std::fs::write(folder.path().join("bench.json"), definition.to_string())?;
    let config = Config {
        store: StoreConfig::directory(folder.path()),
        feed: FeedConfig::Kafka(Box::new(KafkaFeedConfig {
            start_at: StartAt::Earliest,
            ..KafkaFeedConfig::new(
                ClusterSettings::plaintext([&broker.listeners.plaintext]),
                vec![from.to_owned()],
                format!("bench-{}", std::process::id()),
            )
        })),
        policy,
        directory,
        stamp: None,
        dead_letters: None,
        lanes: LanesConfig::default(),
        http: None,
        producer: ProducerConfig::default(),
        log: LogConfig::default(),
        grace: Duration::from_secs(30),
    };
    // As the command `run` has it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let running = App::build(config)?.start(&stop).await?;
        while running.report().totals().published < records as u64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        running.finished().await?;
        Ok(())
    })
}
