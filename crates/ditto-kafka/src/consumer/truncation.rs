//! Records that are gone from a partition before they were read.

use std::fmt;
use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use tracing::warn;

use super::assignment::Assignment;
use super::counts::Counters;
use super::partitions::Position;
use super::settings::{OnTruncation, StartAt};
use super::starts::{self, ANSWER_TIMEOUT};
use crate::error::ClientError;
use crate::lock::lock;

/// A position outside of what the partition holds.
#[derive(Debug)]
struct Gap {
    topic: Arc<str>,
    partition: i32,
    next: i64,
    low: i64,
    high: i64,
}

impl Gap {
    fn go_on_at(&self, policy: OnTruncation) -> i64 {
        if policy == OnTruncation::Latest { self.high } else { self.low }
    }

    /// Offsets between the one that was to be read and where it goes on. Those of a topic that was made anew count only if
    /// they are passed over: nobody knows how far the old one went.
    fn left_behind(&self, policy: OnTruncation) -> usize {
        let from = if self.next < self.low { self.next } else { self.low };
        usize::try_from(self.go_on_at(policy).saturating_sub(from)).unwrap_or_default()
    }
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

/// librdkafka has stopped partitions because their next offset does not exist. They go on as the policy says. How many
/// offsets were left behind unread is counted.
///
/// # Errors
///
/// The cluster can't say what the partitions hold: try again. The inner error: the policy is to fail.
pub(super) fn go_on(
    consumer: &BaseConsumer<Assignment>,
    start_at: StartAt,
    policy: OnTruncation,
    counters: &Counters,
) -> KafkaResult<Result<(), ClientError>> {
    let positions = lock(&consumer.context().partitions).positions();
    let (mut gaps, mut again, mut starts, mut unknown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for Position { topic, partition, next, .. } in positions {
        let Some(next) = next else {
            unknown.push((topic, partition));
            continue;
        };
        let (low, high) = consumer.fetch_watermarks(&topic, partition, ANSWER_TIMEOUT)?;
        if (low..=high).contains(&next) {
            again.push((topic, partition, next));
        } else {
            let gap = Gap { topic, partition, next, low, high };
            starts.push((Arc::clone(&gap.topic), partition, gap.go_on_at(policy)));
            gaps.push(gap);
        }
    }
    // Not where the policy says: these have skipped nothing, and their group may have committed something.
    starts.extend(starts::find(consumer, &unknown, start_at, false)?.all);
    counters.gaps.add(gaps.len());
    counters.gone.add(gaps.iter().map(|gap| gap.left_behind(policy)).sum());
    if policy == OnTruncation::Fail && !gaps.is_empty() {
        let gaps: Vec<String> = gaps.iter().map(ToString::to_string).collect();
        return Ok(Err(ClientError::truncated(gaps.join("; "))));
    }
    for gap in &gaps {
        warn!(%gap, ?policy, "records are gone before they were read");
    }
    // Which partition stopped is not told: if none is outside of its bounds, any of them may have.
    let restarted = if starts.is_empty() { &again } else { &starts };
    let mut partitions = lock(&consumer.context().partitions);
    for (topic, partition, start) in &starts {
        partitions.restart(topic, *partition, *start);
    }
    drop(partitions);
    starts::restart(consumer, restarted)?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_left_behind() {
        let gap = |next| Gap { topic: "in".into(), partition: 0, next, low: 15, high: 20 };
        // Retention has passed it; the topic was made anew.
        let (passed, anew) = (gap(10), gap(500));
        for (policy, of_passed, of_anew) in
            [(OnTruncation::Fail, 5, 0), (OnTruncation::Earliest, 5, 0), (OnTruncation::Latest, 10, 5)]
        {
            assert_eq!(
                (passed.left_behind(policy), anew.left_behind(policy)),
                (of_passed, of_anew),
                "{policy:?}"
            );
        }
    }
}
