//! What is counted, so that nothing is lost silently.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::journal::Step;
use crate::outcome::{DeliverErrorKind, DropReason, Outcome, PassedOver};
use crate::signal::Unreadable;

/// Counters of one target. Written by its lane alone, read by anybody.
///
/// INVARIANT: `selected = published + dropped(by reason) + failed(by reason) + in flight` at any time,
/// since "in flight" is what the lane still holds and each outcome is counted once.
#[derive(Debug, Default)]
pub struct TargetCounters {
    offered: Mutex<Offered>,
    passed_over: [AtomicU64; PassedOver::ALL.len()],
    selected: AtomicU64,
    matched: AtomicU64,
    mapped: AtomicU64,
    published: AtomicU64,
    dropped: [AtomicU64; DropReason::ALL.len()],
    failed: [AtomicU64; DeliverErrorKind::NAMES.len()],
    messages: AtomicU64,
    records: AtomicU64,
    acknowledged: [AtomicU64; 2],
}

/// Signals of a target's kinds and namespaces. They are counted where the index keeps them, once for all targets of a kind and
/// namespace: counting each by itself would cost as much as there are targets.
#[derive(Debug, Default)]
struct Offered {
    /// By indices that are no more.
    before: u64,
    /// A signal is counted by one of these at most.
    now: Vec<Arc<AtomicU64>>,
}

impl Offered {
    fn total(&self) -> u64 {
        self.before + self.now.iter().map(|count| count.load(Relaxed)).sum::<u64>()
    }
}

impl TargetCounters {
    fn offered(&self) -> MutexGuard<'_, Offered> {
        self.offered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts of the index that has the target from now on; those of the one before do not grow any more.
    pub(crate) fn offer(&self, counts: Vec<Arc<AtomicU64>>) {
        let mut offered = self.offered();
        *offered = Offered { before: offered.total(), now: counts };
    }

    pub(crate) fn pass_over(&self, why: PassedOver) {
        if let Some(count) = self.passed_over.get(why as usize) {
            add(count);
        }
    }

    pub(crate) fn select(&self) {
        add(&self.selected);
    }

    /// Counts how far a signal has come: whether its filters hold, and whether a message was made of it.
    pub(crate) fn prepare(&self, is_matched: bool, is_mapped: bool) {
        if is_matched {
            add(&self.matched);
        }
        if is_mapped {
            add(&self.mapped);
        }
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
        // Before what it is the sum of: `unauthorized` must never be too much.
        let offered = self.offered().total();
        // Outcomes first: a signal that ends between the reads shows as in flight, never as ended twice.
        let published = self.published.load(Relaxed);
        let dropped = named(&DropReason::ALL.map(DropReason::name), &self.dropped);
        let failed = named(&DeliverErrorKind::NAMES, &self.failed);
        let mapped = self.mapped.load(Relaxed);
        let matched = self.matched.load(Relaxed);
        let selected = self.selected.load(Relaxed);
        let mut passed_over = named(&PassedOver::ALL.map(PassedOver::name), &self.passed_over);
        let unauthorized = offered.saturating_sub(selected + sum(&passed_over));
        if let Some((_, count)) = passed_over.get_mut(PassedOver::Unauthorized as usize) {
            *count = unauthorized;
        }
        TargetCounts {
            offered,
            passed_over,
            selected,
            matched,
            mapped,
            published,
            dropped,
            failed,
            messages: self.messages.load(Relaxed),
            records: self.records.load(Relaxed),
            acknowledged: self.acknowledged.each_ref().map(|count| count.load(Relaxed)),
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
    /// Signals of the target's kinds and namespaces.
    pub offered: u64,
    /// Those of them that are not for it, by reason. Every reason is listed. `offered` and `selected` are read at two times, so
    /// `unauthorized` may be short of what comes in between.
    pub passed_over: Vec<(&'static str, u64)>,
    /// Signals for which the index selected this target.
    pub selected: u64,
    /// Signals that the target may read, and whose filters hold.
    pub matched: u64,
    /// Signals of which messages were made.
    pub mapped: u64,
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
        let late = |name: &str| LATE.iter().any(|reason| reason.name() == name);
        let no_thing = |name: &str| name == "thing-absent" || name == "thing-unknown";
        match step {
            Step::Dispatched => [self.selected, 0],
            Step::Filtered => [self.matched, 0],
            Step::Mapped => [self.messages, of(&self.failed, &no_thing)],
            Step::Dropped => [of(&self.dropped, &|name| !late(name)), of(&self.dropped, &late)],
            Step::Published => [self.records, of(&self.failed, &|name| !no_thing(name) && name != "mapping")],
            Step::Acknowledged => self.acknowledged,
            Step::Other => [0, of(&self.failed, &|name| name == "mapping")],
        }
    }

    /// Selected signals of which the target may read something.
    pub fn authorized(&self) -> u64 {
        let of = |counts: &[(&'static str, u64)], names: &[&str]| -> u64 {
            counts.iter().filter(|(name, _)| names.contains(name)).map(|(_, n)| n).sum()
        };
        self.matched
            + of(&self.dropped, &[DropReason::Filtered.name()])
            + of(&self.failed, &["thing-absent", "thing-unknown"])
    }

    /// These and others, together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        self.with(other, |one, other| one + other)
    }

    /// Each of these, or of others where those are more: of two looks at counters that grow the later one.
    #[must_use]
    pub fn at_least(&self, other: &Self) -> Self {
        self.with(other, u64::max)
    }

    /// What has come since others were read.
    #[must_use]
    pub fn since(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_sub)
    }

    fn with(&self, other: &Self, of: impl Fn(u64, u64) -> u64) -> Self {
        // Without a look there are no names yet.
        let named = |one: &[(&'static str, u64)], other: &[(&'static str, u64)]| {
            let names = if one.is_empty() { other } else { one };
            let at = |counts: &[(&'static str, u64)], place: usize| counts.get(place).map_or(0, |(_, n)| *n);
            let sum = |(place, (name, _)): (usize, &(&'static str, u64))| {
                (*name, of(at(one, place), at(other, place)))
            };
            names.iter().enumerate().map(sum).collect()
        };
        let [[good, bad], [other_good, other_bad]] = [self.acknowledged, other.acknowledged];
        Self {
            offered: of(self.offered, other.offered),
            passed_over: named(&self.passed_over, &other.passed_over),
            selected: of(self.selected, other.selected),
            matched: of(self.matched, other.matched),
            mapped: of(self.mapped, other.mapped),
            published: of(self.published, other.published),
            dropped: named(&self.dropped, &other.dropped),
            failed: named(&self.failed, &other.failed),
            messages: of(self.messages, other.messages),
            records: of(self.records, other.records),
            acknowledged: [of(good, other_good), of(bad, other_bad)],
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

pub(crate) fn add(counter: &AtomicU64) -> u64 {
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
