//! Which partition a record goes to.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::producer::Partitioner;

use crate::lock::lock;

/// Keys by murmur2 as Java's client; records without key strictly in turn, per topic.
///
/// librdkafka asks it under the topic's lock in the thread that enqueues, in the order of the calls;
/// or, for records enqueued before the topic's metadata was known, in their order when it is.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin {
    topics: Mutex<HashMap<Box<str>, Turns>>,
}

/// The records without key of one topic.
#[derive(Debug, Default)]
struct Turns {
    /// The partition of the last one.
    last: Option<i32>,
    /// Since when partitions have had no leader that is connected; only those that have none.
    unavailable: HashMap<i32, Instant>,
}

/// A partition without leader is skipped after this. At first none of a new topic's partitions seems to have one, and
/// elections take a moment: its records wait in the queue meanwhile, and the turns stay exact.
const PATIENCE: Duration = Duration::from_secs(3);

impl Partitioner for RoundRobin {
    fn partition(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        partitions: i32,
        is_available: impl Fn(i32) -> bool,
    ) -> i32 {
        if let Some(key) = key {
            return partition_of_key(key, partitions);
        }
        let mut topics = lock(&self.topics);
        match topics.get_mut(topic) {
            Some(turns) => turns.next(partitions, is_available, Instant::now),
            None => topics.entry(topic.into()).or_default().next(partitions, is_available, Instant::now),
        }
    }
}

impl Turns {
    /// The next partition that is not skipped; the next one at all if all are.
    fn next(
        &mut self,
        partitions: i32,
        is_available: impl Fn(i32) -> bool,
        now: impl Fn() -> Instant,
    ) -> i32 {
        let after = |at: i32| if at + 1 < partitions { at + 1 } else { 0 };
        let first = self.last.map_or(0, after);
        let mut at = first;
        loop {
            if self.may_take(at, &is_available, &now) {
                break;
            }
            at = after(at);
            if at == first {
                break;
            }
        }
        self.last = Some(at);
        at
    }

    fn may_take(
        &mut self,
        partition: i32,
        is_available: impl Fn(i32) -> bool,
        now: impl Fn() -> Instant,
    ) -> bool {
        if is_available(partition) {
            if !self.unavailable.is_empty() {
                self.unavailable.remove(&partition);
            }
            return true;
        }
        let now = now();
        let since = *self.unavailable.entry(partition).or_insert(now);
        now.saturating_duration_since(since) < PATIENCE
    }
}

/// The partition that Java's client chooses for a key: `toPositive(murmur2(key)) % partitions`.
///
/// `partitions` must be above zero, else the answer is 0.
#[must_use]
pub fn partition_of_key(key: &[u8], partitions: i32) -> i32 {
    let positive = (murmur2(key) & 0x7fff_ffff).cast_signed();
    positive.checked_rem(partitions).unwrap_or(0)
}

/// MurmurHash2 with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    // Java's length is an i32; so is a record's.
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut hash = SEED ^ length;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (at, byte) in (0_u32..).zip(tail) {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests;
