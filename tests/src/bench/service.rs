//! The service: Kafka feed, decode, authorization, one target with a key and a constant header, Kafka.

use std::time::Duration;

use ditto_connectivity::{App, Config, FeedConfig, KafkaFeedConfig, LanesConfig, LogConfig, ProducerConfig};
use ditto_kafka::{ClusterSettings, StartAt};
use ditto_outbound::{FeedPolicy, InternalHeaders};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::service::definition;

pub(super) fn run(broker: &Broker, from: &str, to: &str, records: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let targets = json!([{
        "address": format!("{to}/{{{{ thing:id }}}}"), "topics": ["_/_/things/twin/events"],
        "authorizationContext": ["acme:monitoring"], "headerMapping": {"source": "bench"},
    }]);
    let definition = definition("bench", &broker.listeners.plaintext, &targets);
    std::fs::write(folder.path().join("bench.json"), definition.to_string())?;
    let config = Config {
        connections: folder.path().to_owned(),
        feed: FeedConfig::Kafka(Box::new(KafkaFeedConfig {
            start_at: StartAt::Earliest,
            ..KafkaFeedConfig::new(
                ClusterSettings::plaintext([&broker.listeners.plaintext]),
                vec![from.to_owned()],
                format!("bench-{}", std::process::id()),
            )
        })),
        policy: FeedPolicy { internal_headers: InternalHeaders::Trust, ..FeedPolicy::default() },
        directory: None,
        stamp: None,
        lanes: LanesConfig::default(),
        producer: ProducerConfig::default(),
        log: LogConfig::default(),
        grace: Duration::from_secs(30),
    };
    // As the command `run` has it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let running = App::build(config)?.start(&stop)?;
        while running.report().totals().published < records as u64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
        running.finished().await?;
        Ok(())
    })
}
