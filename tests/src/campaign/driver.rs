//! Writes signals to the feed, and remembers which the feed has acknowledged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::fault::Chance;
use super::oracle::Signal;
use crate::broker::Broker;

const THINGS: usize = 50;

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) seed: u64,
    /// Must come out.
    pub(super) acknowledged: BTreeSet<Signal>,
    /// May come out: the feed has not said whether it has them.
    pub(super) unknown: BTreeSet<Signal>,
}

/// A thread that writes until it is told to stop.
pub(super) struct Driver {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Sent>>,
}

/// What the feed has acknowledged.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<BTreeSet<Signal>>>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Signal>;

    fn delivery(&self, result: &DeliveryResult<'_>, signal: Box<Signal>) {
        if result.is_ok() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*signal);
        }
    }
}

impl Driver {
    /// Starts to write so many signals a second.
    pub(super) fn start(broker: &Broker, feed: &str, seed: u64, rate: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, broker, feed) = (Arc::clone(&stop), broker.clone(), feed.to_owned());
        let thread = thread::spawn(move || write(&broker, &feed, seed, rate, &stopped));
        Self { stop, thread }
    }

    /// Ends it, and says what it has written.
    pub(super) fn finish(self) -> anyhow::Result<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the driver panicked"))?
    }
}

fn write(broker: &Broker, feed: &str, seed: u64, rate: u64, stop: &AtomicBool) -> anyhow::Result<Sent> {
    let mut config = broker.client();
    config.set("enable.idempotence", "true").set("acks", "all").set("partitioner", "murmur2_random");
    config.set("linger.ms", "5");
    let reports = Reports::default();
    let producer: BaseProducer<Reports> = BaseProducer::from_config_and_context(&config, reports.clone())?;
    let (start, mut chance) = (Instant::now(), Chance::new(seed ^ 0xd1));
    let (mut revisions, mut written) = (vec![0_u64; THINGS], BTreeSet::new());
    while !stop.load(Ordering::Relaxed) {
        let due = start.elapsed().as_millis() as u64 * rate / 1_000;
        while (written.len() as u64) < due {
            let thing = chance.below(THINGS);
            let revision = revisions.get_mut(thing).context("a thing")?;
            *revision += 1;
            let signal = Signal { thing, revision: *revision };
            let (key, message) = (signal.thing_id(), signal.message(seed));
            let mut record = BaseRecord::with_opaque_to(feed, Box::new(signal)).key(&key).payload(&message);
            while let Err((error, back)) = producer.send(record) {
                anyhow::ensure!(
                    error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::QueueFull),
                    "signal not written: {error}"
                );
                producer.poll(Duration::from_millis(10));
                record = back;
            }
            written.insert(signal);
        }
        producer.poll(Duration::from_millis(5));
    }
    producer.flush(Duration::from_secs(60)).context("the feed does not take the rest")?;
    let acknowledged = reports.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let unknown = written.difference(&acknowledged).copied().collect();
    Ok(Sent { seed, acknowledged, unknown })
}
