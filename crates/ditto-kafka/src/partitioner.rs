//! Which partition a record goes to.

use std::collections::HashMap;
use std::sync::Mutex;

use rdkafka::producer::Partitioner;

use crate::lock::lock;

/// Keys by murmur2 as Java's client; records without key strictly in turn, per topic.
///
/// librdkafka asks it under the topic's lock in the thread that enqueues, in the order of the calls;
/// or, for records enqueued before the topic's metadata was known, in their order when it is.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin {
    /// The partition that the last record without key went to.
    last: Mutex<HashMap<Box<str>, i32>>,
}

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
        let mut last = lock(&self.last);
        if let Some(last) = last.get_mut(topic) {
            *last = turn(*last, partitions, is_available);
            return *last;
        }
        let first = turn(-1, partitions, is_available);
        last.insert(topic.into(), first);
        first
    }
}

/// The next partition after `last` that has a leader; the next one at all if none has.
fn turn(last: i32, partitions: i32, is_available: impl Fn(i32) -> bool) -> i32 {
    let next = |at: i32| if at + 1 < partitions { at + 1 } else { 0 };
    let first = next(last);
    let mut at = first;
    loop {
        if is_available(at) {
            return at;
        }
        at = next(at);
        if at == first {
            return first;
        }
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
