//! What became of the signals, in words.

use std::fmt;
use std::sync::Arc;

use ditto_kafka::ConsumerMonitor;
use ditto_outbound::{CompiledTarget, LaneCounts, TargetCounts};

use crate::directory::DirectoryMonitor;
use crate::plane::{DataPlane, LaneTask, Served};
use crate::totals::Totals;

/// Counters of all lanes and targets, as they are when it is asked; reading it costs the lanes nothing.
#[derive(Debug, Clone)]
pub struct Report(DataPlane);

impl Report {
    pub(crate) fn of(plane: DataPlane) -> Self {
        Self(plane)
    }

    /// How the directory does, if there is one.
    pub fn directory(&self) -> Option<&DirectoryMonitor> {
        self.0.directory()
    }

    /// The lanes with a position in the feed.
    fn reading(&self) -> Vec<Arc<LaneTask>> {
        let mut lanes = self.0.lanes();
        lanes.retain(|lane| lane.reads());
        lanes
    }

    /// How the feed of each lane does, by the lane's name, with the ids of the connections that it serves.
    pub(crate) fn feeds(&self) -> Vec<(String, Vec<String>, LaneCounts, Option<ConsumerMonitor>)> {
        let feed = |lane: &Arc<LaneTask>| {
            let connections = lane.all_served().iter().map(|it| it.id().to_owned()).collect();
            (lane.name.clone(), connections, lane.counts(), lane.monitor())
        };
        self.reading().iter().map(feed).collect()
    }

    /// The counts of each lane's feed, by the lane's name.
    pub fn lanes(&self) -> Vec<(String, LaneCounts)> {
        self.reading().iter().map(|lane| (lane.name.clone(), lane.counts())).collect()
    }

    /// The counts of each target, by connection id and address.
    pub fn targets(&self) -> Vec<(String, String, TargetCounts)> {
        let lanes = self.0.lanes();
        let served = lanes.iter().flat_map(|lane| lane.all_served());
        let counts = |it: Arc<Served>| {
            let targets = it.compiled().targets().iter();
            let counts = |target: &Arc<CompiledTarget>| {
                let (id, address) = (target.connection_id(), target.address_text());
                (id.to_owned(), address.to_owned(), target.counters().snapshot())
            };
            targets.map(counts).collect::<Vec<_>>()
        };
        served.flat_map(counts).collect()
    }

    /// Sums over all targets and lanes, those included that are no more.
    pub fn totals(&self) -> Totals {
        let mut totals = self.0.retired();
        self.targets().iter().for_each(|(_, _, target)| totals.add_target(target));
        self.lanes().iter().for_each(|(_, lane)| totals.add(&Totals::of_lane(lane)));
        totals
    }
}

/// One line per lane and per target; reasons that did not occur are left out.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line_break = "";
        for lane in self.reading() {
            let counts = lane.counts();
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
            let served = lane.all_served();
            if let Some(letters) = lane.originals().and_then(|originals| originals.letters()) {
                write_letters(f, "the feed", letters)?;
            }
            for target in served.iter().flat_map(|it| it.compiled().targets()) {
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
                write_in_flight(f, &counts)?;
            }
            for connection in served.iter().map(|it| it.compiled()) {
                if let Some(letters) = connection.dead_letters() {
                    write_letters(f, connection.id(), letters)?;
                }
            }
        }
        if let Some(directory) = self.directory() {
            write!(f, "{line_break}{directory}")?;
        }
        Ok(())
    }
}

/// Nothing if none was ever due.
fn write_letters(f: &mut fmt::Formatter<'_>, of: &str, letters: &CompiledTarget) -> fmt::Result {
    let counts = letters.counters().snapshot();
    if counts.selected == 0 {
        return Ok(());
    }
    let topic = letters.address_text();
    write!(f, "\n  dead letters of {of} → {topic}: {} due, {} written", counts.selected, counts.published)?;
    write_reasons(f, "dropped", &counts.dropped)?;
    write_reasons(f, "failed", &counts.failed)?;
    write_in_flight(f, &counts)
}

fn write_in_flight(f: &mut fmt::Formatter<'_>, counts: &TargetCounts) -> fmt::Result {
    if counts.in_flight() > 0 {
        write!(f, ", {} in flight", counts.in_flight())?;
    }
    Ok(())
}

fn write_reasons(f: &mut fmt::Formatter<'_>, what: &str, counts: &[(&str, u64)]) -> fmt::Result {
    let occurred = counts.iter().filter(|(_, n)| *n > 0);
    occurred.into_iter().try_for_each(|(reason, n)| write!(f, ", {n} {what} ({reason})"))
}
