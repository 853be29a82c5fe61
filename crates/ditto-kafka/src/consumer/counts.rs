//! What became of a consumer's partitions, as numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// What has happened since the start. Everything but batches is rare, and worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ConsumerCounts {
    /// Batches handed out.
    pub batches: u64,
    /// How often the next record of a partition did not exist any more.
    pub gaps: u64,
    /// Offsets that were left behind unread because of that. Of a topic that was made anew nobody knows how many there were.
    pub gone: u64,
    /// Partitions taken away because the group had not heard of this member.
    pub lost: u64,
    /// Partitions that gave no record although there were some, and were fetched anew.
    pub stalls: u64,
}

/// The same, as it is counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) batches: Counter,
    pub(super) gaps: Counter,
    pub(super) gone: Counter,
    pub(super) lost: Counter,
    pub(super) stalls: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: usize) {
        // A number of 64 bits at most.
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn snapshot(&self) -> ConsumerCounts {
        ConsumerCounts {
            batches: self.batches.get(),
            gaps: self.gaps.get(),
            gone: self.gone.get(),
            lost: self.lost.get(),
            stalls: self.stalls.get(),
        }
    }
}
