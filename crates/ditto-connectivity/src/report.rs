//! What became of the signals, in words.

use std::fmt;
use std::sync::Arc;

use ditto_kafka::ConsumerMonitor;
use ditto_outbound::{CompiledConnection, LaneCounters, LaneCounts, TargetCounts};

use crate::directory::DirectoryMonitor;

/// Counters of all lanes and targets; reading it costs the lanes nothing.
#[derive(Debug, Clone, Default)]
pub struct Report {
    lanes: Vec<LaneReport>,
    directory: Option<DirectoryMonitor>,
}

#[derive(Debug, Clone)]
struct LaneReport {
    name: String,
    connections: Vec<Arc<CompiledConnection>>,
    counters: Arc<LaneCounters>,
    /// Only of a Kafka feed.
    feed: Option<ConsumerMonitor>,
}

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

impl Report {
    pub(crate) fn of(directory: Option<DirectoryMonitor>) -> Self {
        Self { lanes: Vec::new(), directory }
    }

    /// How the directory does, if there is one.
    pub fn directory(&self) -> Option<&DirectoryMonitor> {
        self.directory.as_ref()
    }

    pub(crate) fn add(
        &mut self,
        name: String,
        connections: Vec<Arc<CompiledConnection>>,
        counters: Arc<LaneCounters>,
        feed: Option<ConsumerMonitor>,
    ) {
        self.lanes.push(LaneReport { name, connections, counters, feed });
    }

    /// How the feed of each lane does, by the lane's name, with the ids of the connections that it serves.
    pub(crate) fn feeds(
        &self,
    ) -> impl Iterator<Item = (&str, Vec<&str>, LaneCounts, Option<&ConsumerMonitor>)> {
        self.lanes.iter().map(|lane| {
            let connections = lane.connections.iter().map(|connection| connection.id()).collect();
            (lane.name.as_str(), connections, lane.counters.snapshot(), lane.feed.as_ref())
        })
    }

    /// The counts of each lane's feed, by the lane's name.
    pub fn lanes(&self) -> impl Iterator<Item = (&str, LaneCounts)> {
        self.lanes.iter().map(|lane| (lane.name.as_str(), lane.counters.snapshot()))
    }

    /// The counts of each target, by connection id and address.
    pub fn targets(&self) -> impl Iterator<Item = (&str, &str, TargetCounts)> {
        let connections = self.lanes.iter().flat_map(|lane| &lane.connections);
        let targets = connections.flat_map(|connection| connection.targets());
        targets.map(|target| (target.connection_id(), target.address_text(), target.counters().snapshot()))
    }

    /// Sums over all targets and lanes.
    pub fn totals(&self) -> Totals {
        let sum = |counts: &[(&str, u64)]| counts.iter().map(|(_, n)| n).sum::<u64>();
        let mut totals = Totals::default();
        for (_, _, target) in self.targets() {
            totals.published += target.published;
            totals.dropped += sum(&target.dropped);
            totals.failed += sum(&target.failed);
            totals.in_flight += target.in_flight();
        }
        for (_, lane) in self.lanes() {
            totals.received += lane.received;
            totals.unselected += lane.unselected;
            let unknown = lane.unreadable.iter().filter(|(reason, _)| *reason == "policy-unknown");
            totals.unknown += unknown.map(|(_, n)| n).sum::<u64>();
            totals.undecodable += sum(&lane.undecodable);
        }
        totals
    }
}

/// One line per lane and per target; reasons that did not occur are left out.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line_break = "";
        for lane in &self.lanes {
            let counts = lane.counters.snapshot();
            write!(
                f,
                "{line_break}feed of {}: {} received, {} for no target",
                lane.name, counts.received, counts.unselected
            )?;
            write_reasons(f, "undecodable", &counts.undecodable)?;
            write_reasons(f, "readable by nobody", &counts.unreadable)?;
            if counts.acknowledgements > 0 {
                write!(f, ", {} acknowledged", counts.acknowledgements)?;
            }
            line_break = "\n";
            for target in lane.connections.iter().flat_map(|connection| connection.targets()) {
                let counts = target.counters().snapshot();
                write!(
                    f,
                    "\n  {} → {}: {} selected, {} published",
                    target.connection_id(),
                    target.address_text(),
                    counts.selected,
                    counts.published
                )?;
                write_reasons(f, "dropped", &counts.dropped)?;
                write_reasons(f, "failed", &counts.failed)?;
                if counts.in_flight() > 0 {
                    write!(f, ", {} in flight", counts.in_flight())?;
                }
            }
        }
        if let Some(directory) = &self.directory {
            write!(f, "{line_break}{directory}")?;
        }
        Ok(())
    }
}

fn write_reasons(f: &mut fmt::Formatter<'_>, what: &str, counts: &[(&str, u64)]) -> fmt::Result {
    let occurred = counts.iter().filter(|(_, n)| *n > 0);
    occurred.into_iter().try_for_each(|(reason, n)| write!(f, ", {n} {what} ({reason})"))
}
