//! Records that are gone from a partition before they were read.

use std::fmt;
use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};
use tracing::warn;

use super::assignment::{Assignment, START_TIMEOUT};
use super::settings::{OnTruncation, StartAt};
use crate::error::ClientError;
use crate::lock::lock;

/// Where reading stands.
#[derive(Debug, Clone)]
pub(super) struct Position {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    /// The offset to read next; `None` if nothing was read and the start could not be found out.
    pub(super) next: Option<i64>,
}

/// A position outside of what the partition holds.
#[derive(Debug)]
struct Gap {
    topic: Arc<str>,
    partition: i32,
    next: i64,
    low: i64,
    high: i64,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, next, low, high } = self;
        write!(f, "{topic}[{partition}] has offsets {low} to {high}, and {next} was to be read: ")?;
        match low.checked_sub(*next) {
            Some(gone) if gone > 0 => write!(f, "{gone} offsets were deleted (retention)"),
            _ => f.write_str("the topic was truncated or made anew"),
        }
    }
}

/// librdkafka has stopped partitions because their next offset does not exist. They go on as the policy says.
///
/// # Errors
///
/// The cluster can't say what the partitions hold: try again. The inner error: the policy is to fail.
pub(super) fn go_on(
    consumer: &BaseConsumer<Assignment>,
    start_at: StartAt,
    policy: OnTruncation,
) -> KafkaResult<Result<(), ClientError>> {
    let positions = lock(&consumer.context().partitions).positions();
    let (mut gaps, mut again, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for Position { topic, partition, next } in positions {
        let (low, high) = consumer.fetch_watermarks(&topic, partition, START_TIMEOUT)?;
        match next {
            Some(next) if (low..=high).contains(&next) => again.push((topic, partition, next)),
            Some(next) => {
                let start = if policy == OnTruncation::Earliest { low } else { high };
                starts.push((Arc::clone(&topic), partition, start));
                gaps.push(Gap { topic, partition, next, low, high });
            }
            None => starts.push((topic, partition, if start_at == StartAt::Earliest { low } else { high })),
        }
    }
    if policy == OnTruncation::Fail && !gaps.is_empty() {
        let gaps: Vec<String> = gaps.iter().map(ToString::to_string).collect();
        return Ok(Err(ClientError::truncated(gaps.join("; "))));
    }
    for gap in &gaps {
        warn!(%gap, ?policy, "records are gone before they were read");
    }
    // Which partition stopped is not told: if none is outside of its bounds, any of them may have.
    let restarted = if starts.is_empty() { &again } else { &starts };
    let mut list = TopicPartitionList::new();
    for (topic, partition, start) in restarted {
        list.add_partition_offset(topic, *partition, Offset::Offset(*start))?;
    }
    let mut partitions = lock(&consumer.context().partitions);
    for (topic, partition, start) in &starts {
        partitions.restart(topic, *partition, *start);
    }
    for (topic, partition, _) in restarted {
        partitions.resumed(topic, *partition);
    }
    drop(partitions);
    // A stopped partition takes no seek.
    consumer.incremental_unassign(&list)?;
    consumer.incremental_assign(&list)?;
    consumer.resume(&list)?;
    Ok(Ok(()))
}
