//! Partitions that have records and give none.
//!
//! Clients have been seen to stop fetching after a rebalance (Vector #22006, rust-rdkafka #638). Nobody is told; the lag
//! just grows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tracing::{debug, warn};

use super::assignment::Assignment;
use super::counts::Counters;
use super::partitions::{Place, PlaceOffset, Position};
use super::starts;
use crate::lock::lock;

/// Looks twice within the time that a partition may give nothing.
#[derive(Debug)]
pub(super) struct Watchdog {
    interval: Duration,
    last: Instant,
    seen: Seen,
}

/// For the answer of the cluster; nothing is read meanwhile.
const TIMEOUT: Duration = Duration::from_secs(1);

/// What the last look saw of each assignment.
#[derive(Debug, Default)]
struct Seen(HashMap<u64, Look>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    next: i64,
    /// There were records at the last look, and the position had not moved since the one before.
    is_suspect: bool,
    /// The partition was fetched anew while it ended here, and gave nothing: what lies before this offset is no record
    /// (markers of a transaction, records that compaction has removed).
    empty_until: i64,
}

impl Watchdog {
    pub(super) fn new(patience: Duration) -> Self {
        Self { interval: patience / 2, last: Instant::now(), seen: Seen::default() }
    }

    /// Fetches partitions anew that have stalled, if it is time to look. Asks the cluster only about partitions that have
    /// not moved, and waits for one answer at most.
    pub(super) fn look(&mut self, consumer: &BaseConsumer<Assignment>, counters: &Counters) {
        if self.last.elapsed() < self.interval {
            return;
        }
        self.last = Instant::now();
        let positions = lock(&consumer.context().partitions).positions();
        let quiet: Vec<Place> = self.seen.quiet(&positions);
        let ends = match starts::ends(consumer, &quiet, Offset::End, TIMEOUT) {
            Ok(ends) => ends,
            Err(error) => return debug!(%error, "partitions are not watched for now"),
        };
        let stalled = self.seen.look(&positions, &ends);
        if stalled.is_empty() {
            return;
        }
        for (topic, partition, next) in &stalled {
            warn!(%topic, partition, next, "kafka partition has records and gives none: it is fetched anew");
        }
        counters.stalls.add(stalled.len());
        if let Err(error) = starts::restart(consumer, &stalled) {
            warn!(%error, "kafka partitions not fetched anew");
        }
    }
}

impl Seen {
    /// Partitions that could be read and have not moved since the last look.
    fn quiet(&self, positions: &[Position]) -> Vec<Place> {
        let is_quiet = |it: &&Position| {
            !it.is_paused && it.next.is_some() && self.0.get(&it.assignment).map(|it| it.next) == it.next
        };
        positions.iter().filter(is_quiet).map(|it| (Arc::clone(&it.topic), it.partition)).collect()
    }

    /// Those that have not moved for two looks while there was something to read; and where they stand. `ends` are the ends
    /// of the quiet ones.
    fn look(&mut self, positions: &[Position], ends: &[PlaceOffset]) -> Vec<PlaceOffset> {
        let mut stalled = Vec::new();
        let mut seen = HashMap::new();
        for position in positions {
            // One that was paused begins anew. So does one without a position: librdkafka is still looking for its start.
            let Some(next) = position.next.filter(|_| !position.is_paused) else { continue };
            let before = self.0.get(&position.assignment).filter(|before| before.next == next);
            let of_this = |end: &&PlaceOffset| end.0 == position.topic && end.1 == position.partition;
            let end = ends.iter().find(of_this).map_or(next, |end| end.2);
            let mut look =
                Look { next, is_suspect: false, empty_until: before.map_or(next, |it| it.empty_until) };
            if before.is_some() && end > look.empty_until {
                if before.is_some_and(|it| it.is_suspect) {
                    stalled.push((Arc::clone(&position.topic), position.partition, next));
                    look.empty_until = end;
                } else {
                    look.is_suspect = true;
                }
            }
            seen.insert(position.assignment, look);
        }
        self.0 = seen;
        stalled
    }
}

#[cfg(test)]
mod tests;
