//! Writes signals to the feed, and remembers which the feed has acknowledged.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::Plan;
use super::fault::Chance;
use super::work::{Signal, Work};
use crate::broker::Broker;

pub(super) const THINGS: usize = 50;

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Must come out.
    pub(super) acknowledged: BTreeSet<Signal>,
    /// May come out: the feed has not said whether it has them.
    pub(super) unknown: BTreeSet<Signal>,
}

/// A thread that writes until it is told to stop, or has written all.
pub(super) struct Driver {
    stop: Arc<AtomicBool>,
    allowed: Arc<AtomicUsize>,
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
    /// Starts to write the signals of a plan, the first of them if there is an end.
    pub(super) fn start(broker: &Broker, feed: &str, plan: &Plan, work: Arc<dyn Work>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let allowed = Arc::new(AtomicUsize::new(share(plan, 0)));
        let control = (Arc::clone(&stop), Arc::clone(&allowed));
        let (broker, feed, plan) = (broker.clone(), feed.to_owned(), plan.clone());
        let thread = thread::spawn(move || write(&broker, &feed, &plan, &*work, &control.0, &control.1));
        Self { stop, allowed, thread }
    }

    /// So many faults are over: there is more to write, so that it shows who is at work.
    pub(super) fn go_on(&self, plan: &Plan, faults: usize) {
        self.allowed.store(share(plan, faults), Ordering::Relaxed);
    }

    /// Whether it has written all.
    pub(super) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it, and says what it has written.
    pub(super) fn finish(self) -> anyhow::Result<Sent> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the driver panicked"))?
    }
}

/// How many signals are written before the next fault is over.
fn share(plan: &Plan, faults: usize) -> usize {
    plan.signals.map_or(usize::MAX, |signals| signals * (faults + 1) / (plan.faults.total() + 1))
}

fn write(
    broker: &Broker,
    feed: &str,
    plan: &Plan,
    work: &dyn Work,
    stop: &AtomicBool,
    allowed: &AtomicUsize,
) -> anyhow::Result<Sent> {
    let mut config = broker.client();
    config.set("enable.idempotence", "true").set("acks", "all").set("partitioner", "murmur2_random");
    config.set("linger.ms", "5");
    let reports = Reports::default();
    let producer: BaseProducer<Reports> = BaseProducer::from_config_and_context(&config, reports.clone())?;
    let (start, mut chance) = (Instant::now(), Chance::new(plan.seed ^ 0xd1));
    let (mut revisions, mut written) = (vec![0_u64; THINGS], BTreeSet::new());
    let all = plan.signals.unwrap_or(usize::MAX);
    while !stop.load(Ordering::Relaxed) && written.len() < all {
        let due = start.elapsed().as_millis() as u64 * plan.rate / 1_000;
        while (written.len() as u64) < due.min(allowed.load(Ordering::Relaxed) as u64) {
            let thing = chance.below(THINGS);
            let revision = revisions.get_mut(thing).context("a thing")?;
            *revision += 1;
            let signal = Signal { thing, revision: *revision };
            let due = work.record(signal);
            let mut headers = OwnedHeaders::new();
            for (key, value) in &due.headers {
                headers = headers.insert(Header { key, value: Some(value) });
            }
            let mut record =
                BaseRecord::<[u8], [u8], _>::with_opaque_to(feed, Box::new(signal)).headers(headers);
            record.key = due.key.as_deref();
            record.payload = due.value.as_deref();
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
    Ok(Sent { acknowledged, unknown })
}
