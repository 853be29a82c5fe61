//! The limit of this shape: librdkafka's consumer into its producer.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::feed;
use crate::broker::Broker;

/// Reports are served after so many records.
const BETWEEN_POLLS: usize = 100;

pub(super) fn run(broker: &Broker, from: &str, to: &str, records: usize) -> anyhow::Result<()> {
    let producer: BaseProducer = feed::producer(broker).create()?;
    each(broker, "bench-raw", from, records, |message, moved| {
        let mut record = BaseRecord::to(to);
        record.key = message.key();
        record.payload = message.payload();
        feed::send(&producer, record)?;
        if moved.is_multiple_of(BETWEEN_POLLS) {
            producer.poll(Duration::ZERO);
        }
        Ok(())
    })?;
    Ok(producer.flush(Duration::from_secs(60))?)
}

/// Reads that many records.
pub(super) fn each(
    broker: &Broker,
    group: &str,
    from: &str,
    records: usize,
    mut take: impl FnMut(&BorrowedMessage<'_>, usize) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let group = format!("{group}-{}", std::process::id());
    let consumer: BaseConsumer = feed::consumer(broker, &group).create()?;
    consumer.subscribe(&[from])?;
    let mut moved = 0;
    while moved < records {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            moved += 1;
            take(&message?, moved)?;
        }
    }
    Ok(())
}
