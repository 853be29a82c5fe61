//! What is counted, so that nothing is lost silently.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::journal::Step;
use crate::outcome::{DeliverErrorKind, DropReason, Outcome};
use crate::signal::Unreadable;

/// Counters of one target. Written by its lane alone, read by anybody.
///
/// INVARIANT: `selected = published + dropped(by reason) + failed(by reason) + in flight` at any time,
/// since "in flight" is what the lane still holds and each outcome is counted once.
#[derive(Debug, Default)]
pub struct TargetCounters {
    selected: AtomicU64,
    published: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    failed: [AtomicU64; DeliverErrorKind::NAMES.len()],
    messages: AtomicU64,
    records: AtomicU64,
    acknowledged: [AtomicU64; 2],
}

impl TargetCounters {
    pub(crate) fn select(&self) {
        add(&self.selected);
    }

    /// Counts an outcome; answers how many of its kind there are by now.
    pub(crate) fn record(&self, outcome: &Outcome) -> u64 {
        let counter = match outcome {
            Outcome::Published => Some(&self.published),
            Outcome::Dropped(reason) => self.dropped.get(*reason as usize),
            Outcome::Failed(error) => self.failed.get(error.kind().index()),
        };
        counter.map_or(0, add)
    }

    /// Counts a message that was made.
    pub(crate) fn make(&self) {
        add(&self.messages);
    }

    /// Counts a record that was written.
    pub(crate) fn write(&self) {
        add(&self.records);
    }

    /// Counts an acknowledgement.
    pub(crate) fn acknowledge(&self, is_good: bool) {
        let [good, bad] = &self.acknowledged;
        add(if is_good { good } else { bad });
    }

    /// The values now.
    pub fn snapshot(&self) -> TargetCounts {
        // Outcomes first: a signal that ends between the reads shows as in flight, never as ended twice.
        let published = self.published.load(Relaxed);
        let dropped = named(&DropReason::ALL.map(DropReason::name), &self.dropped);
        let failed = named(&DeliverErrorKind::NAMES, &self.failed);
        TargetCounts {
            published,
            dropped,
            failed,
            messages: self.messages.load(Relaxed),
            records: self.records.load(Relaxed),
            acknowledged: self.acknowledged.each_ref().map(|count| count.load(Relaxed)),
            selected: self.selected.load(Relaxed),
        }
    }
}

/// Dropped before anything was made of them.
pub(crate) const FILTERED: [DropReason; 3] =
    [DropReason::NotReadable, DropReason::Restricted, DropReason::Filtered];
/// Dropped though somebody may have wanted them.
pub(crate) const LATE: [DropReason; 3] = [DropReason::Expired, DropReason::OnHold, DropReason::Closed];

/// The values of [`TargetCounters`] at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetCounts {
    /// Signals for which the index selected this target.
    pub selected: u64,
    /// Signals whose records were all acknowledged.
    pub published: u64,
    /// Signals dropped on purpose, by reason. Every reason is listed.
    pub dropped: Vec<(&'static str, u64)>,
    /// Signals that failed, by reason. Every reason is listed.
    pub failed: Vec<(&'static str, u64)>,
    /// Messages that were made of signals.
    pub messages: u64,
    /// Records that were written by the brokers.
    pub records: u64,
    /// Acknowledgements that were issued: good ones, others.
    pub acknowledged: [u64; 2],
}

impl TargetCounts {
    /// How often a step was taken: as it is meant to, and otherwise. Signals count, of messages and records each of them
    /// (status-metrics-logs.md §4).
    pub fn of_step(&self, step: Step) -> [u64; 2] {
        let of = |counts: &[(&'static str, u64)], wanted: &dyn Fn(&str) -> bool| -> u64 {
            counts.iter().filter(|(name, _)| wanted(name)).map(|(_, n)| n).sum()
        };
        let unfiltered = |name: &str| FILTERED.iter().any(|reason| reason.name() == name);
        let late = |name: &str| LATE.iter().any(|reason| reason.name() == name);
        let no_thing = |name: &str| name == "thing-absent" || name == "thing-unknown";
        match step {
            Step::Dispatched => [self.selected, 0],
            Step::Filtered => {
                let not = of(&self.dropped, &unfiltered) + of(&self.failed, &no_thing);
                [self.selected.saturating_sub(not), 0]
            }
            Step::Mapped => [self.messages, of(&self.failed, &no_thing)],
            Step::Dropped => [of(&self.dropped, &|name| !late(name)), of(&self.dropped, &late)],
            Step::Published => [self.records, of(&self.failed, &|name| !no_thing(name) && name != "mapping")],
            Step::Acknowledged => self.acknowledged,
            Step::Other => [0, of(&self.failed, &|name| name == "mapping")],
        }
    }

    /// Signals that have no outcome yet.
    pub fn in_flight(&self) -> u64 {
        let ended = self.published + sum(&self.dropped) + sum(&self.failed);
        self.selected.saturating_sub(ended)
    }
}

/// Counters of one lane: what happened before any target was selected.
#[derive(Debug, Default)]
pub struct LaneCounters {
    received: AtomicU64,
    decoded: AtomicU64,
    unselected: AtomicU64,
    unreadable: [AtomicU64; Unreadable::NAMES.len()],
    undecodable: [AtomicU64; FeedDrop::ALL.len()],
    acknowledgements: AtomicU64,
}

/// Why a record of the feed is no signal. It is dropped and settled; the feed goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FeedDrop {
    /// The record has no payload.
    Empty,
    /// Larger than the configured limit.
    TooLarge,
    /// Nested deeper than the configured limit.
    TooDeep,
    /// Not UTF-8.
    InvalidUtf8,
    /// Not a Ditto Protocol message.
    NotDittoProtocol,
    /// An internal header of a trusted feed cannot be understood; with those that say who may read, nobody may.
    InvalidInternalHeader,
}

impl FeedDrop {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 6] = [
        Self::Empty,
        Self::TooLarge,
        Self::TooDeep,
        Self::InvalidUtf8,
        Self::NotDittoProtocol,
        Self::InvalidInternalHeader,
    ];

    /// The name under which this reason is counted and explained.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too-large",
            Self::TooDeep => "too-deep",
            Self::InvalidUtf8 => "invalid-utf-8",
            Self::NotDittoProtocol => "not-ditto-protocol",
            Self::InvalidInternalHeader => "invalid-internal-header",
        }
    }
}

impl LaneCounters {
    pub(crate) fn receive(&self) {
        add(&self.received);
    }

    pub(crate) fn decode(&self) {
        add(&self.decoded);
    }

    pub(crate) fn pass_by(&self) {
        add(&self.unselected);
    }

    /// Counts a signal that nobody may read; answers how many there are for this reason by now.
    pub(crate) fn withhold(&self, why: &Unreadable) -> u64 {
        self.unreadable.get(why.index()).map_or(0, add)
    }

    /// Counts a record that is no signal; answers how many there are for this reason by now.
    pub(crate) fn drop_record(&self, reason: FeedDrop) -> u64 {
        self.undecodable.get(reason as usize).map_or(0, add)
    }

    pub(crate) fn acknowledge(&self) {
        add(&self.acknowledgements);
    }

    /// The values now.
    pub fn snapshot(&self) -> LaneCounts {
        LaneCounts {
            decoded: self.decoded.load(Relaxed),
            unselected: self.unselected.load(Relaxed),
            unreadable: named(&Unreadable::NAMES, &self.unreadable),
            undecodable: named(&FeedDrop::ALL.map(FeedDrop::name), &self.undecodable),
            acknowledgements: self.acknowledgements.load(Relaxed),
            received: self.received.load(Relaxed),
        }
    }
}

/// The values of [`LaneCounters`] at one time: `received = decoded + undecodable(by reason)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaneCounts {
    /// Records taken from the feed.
    pub received: u64,
    /// Records that are signals.
    pub decoded: u64,
    /// Signals that no target of the lane was selected for: kind, namespace or subject did not match.
    pub unselected: u64,
    /// Signals that targets want and nobody may read, by reason. Every reason is listed.
    pub unreadable: Vec<(&'static str, u64)>,
    /// Records that are no signals, by reason. Every reason is listed.
    pub undecodable: Vec<(&'static str, u64)>,
    /// Acknowledgements handed to the feed's acknowledgement sink.
    pub acknowledgements: u64,
}

fn add(counter: &AtomicU64) -> u64 {
    // One writer (the lane), so a load and a store do; no locked instruction per signal.
    let value = counter.load(Relaxed) + 1;
    counter.store(value, Relaxed);
    value
}

fn named(names: &[&'static str], values: &[AtomicU64]) -> Vec<(&'static str, u64)> {
    names.iter().copied().zip(values.iter().map(|v| v.load(Relaxed))).collect()
}

fn sum(counts: &[(&'static str, u64)]) -> u64 {
    counts.iter().map(|(_, n)| n).sum()
}
