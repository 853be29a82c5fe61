//! Sums over all targets.

use ditto_outbound::{CompiledConnection, LaneCounts, TargetCounts};

/// Sums over all targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Signals that are done with, times targets.
    pub published: u64,
    /// Dropped on purpose.
    pub dropped: u64,
    /// Lost unless somebody acts.
    pub failed: u64,
    /// Without an outcome yet.
    pub in_flight: u64,
    /// Records of feeds that are no signals.
    pub undecodable: u64,
    /// Records taken from feeds.
    pub received: u64,
    /// Signals that no target was selected for.
    pub unselected: u64,
    /// Signals that targets want, and of which nobody could tell in time who may read them: nobody got them.
    pub unknown: u64,
}

impl Totals {
    /// Of a lane, before any target.
    pub(crate) fn of_lane(counts: &LaneCounts) -> Self {
        let unknown = counts.unreadable.iter().filter(|(reason, _)| *reason == "policy-unknown");
        Self {
            received: counts.received,
            unselected: counts.unselected,
            unknown: unknown.map(|(_, n)| n).sum(),
            undecodable: sum(&counts.undecodable),
            ..Self::default()
        }
    }

    /// Of the targets of a connection, without what has no outcome.
    pub(crate) fn of_targets(connection: &CompiledConnection) -> Self {
        let mut totals = Self::default();
        for target in connection.targets() {
            totals.add_target(&target.counters().snapshot());
        }
        Self { in_flight: 0, ..totals }
    }

    pub(crate) fn add_target(&mut self, target: &TargetCounts) {
        self.published += target.published;
        self.dropped += sum(&target.dropped);
        self.failed += sum(&target.failed);
        self.in_flight += target.in_flight();
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.published += other.published;
        self.dropped += other.dropped;
        self.failed += other.failed;
        self.in_flight += other.in_flight;
        self.undecodable += other.undecodable;
        self.received += other.received;
        self.unselected += other.unselected;
        self.unknown += other.unknown;
    }
}

fn sum(counts: &[(&str, u64)]) -> u64 {
    counts.iter().map(|(_, n)| n).sum()
}
