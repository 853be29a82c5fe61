//! The partitions that are assigned: what was handed out, what may be committed, which have to pause. It knows neither a
//! client nor a clock.

use std::collections::HashMap;
use std::sync::Arc;

use super::ConsumerTicket;
use crate::offsets::{OffsetTracker, Span};
use crate::settings::Bounds;

/// A partition of a topic.
pub(super) type Place = (Arc<str>, i32);
/// An offset in one.
pub(super) type PlaceOffset = (Arc<str>, i32, i64);

/// The partitions that are assigned right now.
#[derive(Debug)]
pub(super) struct Partitions {
    by_topic: HashMap<Arc<str>, HashMap<i32, u64>>,
    by_assignment: HashMap<u64, Partition>,
    /// The partition of the last record: they come in runs.
    last: Option<(Arc<str>, i32, u64)>,
    /// INVARIANT: grows with each assignment of a partition, so that tickets of an earlier one find nothing.
    next: u64,
    /// What may lie between commit and newest record of each.
    span: Bounds,
}

#[derive(Debug)]
struct Partition {
    topic: Arc<str>,
    partition: i32,
    /// `None` until the first record, where the start could not be found out.
    tracker: Option<OffsetTracker>,
    is_paused: bool,
}

/// Where a partition stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    /// Another number for each time that the partition was assigned.
    pub(super) assignment: u64,
    /// The offset to read next; `None` if nothing was read and the start could not be found out.
    pub(super) next: Option<i64>,
    pub(super) is_paused: bool,
}

/// Partitions that have to pause, and those that may go on.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Switches {
    pub(super) pause: Vec<Place>,
    pub(super) resume: Vec<Place>,
}

impl Partitions {
    pub(super) fn new(span: Bounds) -> Self {
        Self { by_topic: HashMap::new(), by_assignment: HashMap::new(), last: None, next: 0, span }
    }

    /// A partition is ours from now on.
    pub(super) fn assign(&mut self, topic: &str, partition: i32, start: Option<i64>) {
        self.last = None;
        let assignment = self.next;
        self.next += 1;
        let topic: Arc<str> = match self.by_topic.get_key_value(topic) {
            Some((known, _)) => Arc::clone(known),
            None => topic.into(),
        };
        if let Some(old) = self.by_topic.entry(Arc::clone(&topic)).or_default().insert(partition, assignment)
        {
            self.by_assignment.remove(&old);
        }
        let tracker = start.map(OffsetTracker::new);
        self.by_assignment.insert(assignment, Partition { topic, partition, tracker, is_paused: false });
    }

    /// A partition goes away. Its last commit, if there is something new: it must be sent before the partition is given up.
    pub(super) fn revoke(&mut self, topic: &str, partition: i32) -> Option<PlaceOffset> {
        let mut partition = self.remove(topic, partition)?;
        partition.request()
    }

    /// A partition was taken away before we were told: somebody else may have it already, so there is no last commit.
    pub(super) fn lose(&mut self, topic: &str, partition: i32) {
        self.remove(topic, partition);
    }

    /// All partitions were taken away.
    pub(super) fn lose_all(&mut self) {
        self.last = None;
        self.by_topic.clear();
        self.by_assignment.clear();
    }

    fn remove(&mut self, topic: &str, partition: i32) -> Option<Partition> {
        self.last = None;
        let assignment = self.by_topic.get_mut(topic)?.remove(&partition)?;
        self.by_assignment.remove(&assignment)
    }

    /// A partition goes on elsewhere. Tickets of before are void: what they are for can't be read again.
    pub(super) fn restart(&mut self, topic: &str, partition: i32, start: i64) {
        self.assign(topic, partition, Some(start));
    }

    /// A record is handed out; `None` if it must not be: its partition is not ours, or it was handed out before.
    pub(super) fn track(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        bytes: usize,
    ) -> Option<(Arc<str>, ConsumerTicket)> {
        let assignment = match &self.last {
            Some((last, number, assignment)) if *number == partition && **last == *topic => *assignment,
            _ => *self.by_topic.get(topic)?.get(&partition)?,
        };
        let entry = self.by_assignment.get_mut(&assignment)?;
        if self.last.as_ref().is_none_or(|(.., last)| *last != assignment) {
            self.last = Some((Arc::clone(&entry.topic), partition, assignment));
        }
        let tracker = entry.tracker.get_or_insert_with(|| OffsetTracker::new(offset));
        tracker
            .track(offset, bytes)
            .then(|| (Arc::clone(&entry.topic), ConsumerTicket { assignment, offset }))
    }

    pub(super) fn settle(&mut self, tickets: &[ConsumerTicket]) {
        // Tickets of one partition come in runs.
        for run in tickets.chunk_by(|one, next| one.assignment == next.assignment) {
            let assignment = run.first().map(|ticket| ticket.assignment);
            let partition = assignment.and_then(|it| self.by_assignment.get_mut(&it));
            if let Some(tracker) = partition.and_then(|it| it.tracker.as_mut()) {
                run.iter().for_each(|ticket| tracker.settle(ticket.offset));
            }
        }
    }

    /// What has to be committed: everything new, or only where a quarter of the span has settled.
    pub(super) fn take_commit(&mut self, everything: bool) -> Vec<PlaceOffset> {
        let span = self.span;
        let due = self.by_assignment.values_mut().filter(|it| everything || it.is_due(span));
        due.filter_map(Partition::request).collect()
    }

    /// The cluster has committed an offset.
    pub(super) fn committed(&mut self, topic: &str, partition: i32, offset: i64) {
        if let Some(tracker) = self.find(topic, partition).and_then(|it| it.tracker.as_mut()) {
            tracker.committed(offset);
        }
    }

    /// Partitions with commits that nobody has answered.
    pub(super) fn requested(&self) -> Vec<Place> {
        let of = |it: &&Partition| it.tracker.as_ref().is_some_and(|it| it.requested() != Span::default());
        self.by_assignment.values().filter(of).map(|it| (Arc::clone(&it.topic), it.partition)).collect()
    }

    /// Commits may have failed: the same offsets are asked for again.
    pub(super) fn forget_requests(&mut self) {
        let trackers = self.by_assignment.values_mut().filter_map(|it| it.tracker.as_mut());
        trackers.for_each(OffsetTracker::forget_requests);
    }

    /// What has to change for each partition to be paused exactly while it is full, or while all are held.
    pub(super) fn take_switches(&mut self, hold: bool) -> Switches {
        let span = self.span;
        let mut switches = Switches::default();
        for partition in self.by_assignment.values_mut() {
            let extent = partition.tracker.as_ref().map(OffsetTracker::span).unwrap_or_default();
            let is_full = extent.records >= span.records || extent.bytes >= span.bytes;
            // Half of the span before it goes on: each pause throws away what was read ahead.
            let has_room = extent.records <= span.records / 2 && extent.bytes <= span.bytes / 2;
            let place = || (Arc::clone(&partition.topic), partition.partition);
            if (is_full || hold) && !partition.is_paused {
                switches.pause.push(place());
                partition.is_paused = true;
            } else if has_room && !hold && partition.is_paused {
                switches.resume.push(place());
                partition.is_paused = false;
            }
        }
        switches
    }

    /// The client has resumed a partition by itself.
    pub(super) fn resumed(&mut self, topic: &str, partition: i32) {
        if let Some(partition) = self.find(topic, partition) {
            partition.is_paused = false;
        }
    }

    /// Where each partition stands.
    pub(super) fn positions(&self) -> Vec<Position> {
        let position = |(assignment, it): (&u64, &Partition)| Position {
            topic: Arc::clone(&it.topic),
            partition: it.partition,
            assignment: *assignment,
            next: it.tracker.as_ref().map(OffsetTracker::next),
            is_paused: it.is_paused,
        };
        self.by_assignment.iter().map(position).collect()
    }

    fn find(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        let assignment = self.by_topic.get(topic)?.get(&partition)?;
        self.by_assignment.get_mut(assignment)
    }
}

impl Partition {
    /// A quarter of the span has settled.
    fn is_due(&self, span: Bounds) -> bool {
        let settled = self.tracker.as_ref().map(OffsetTracker::uncommitted).unwrap_or_default();
        settled.records >= span.records / 4 || settled.bytes >= span.bytes / 4
    }

    fn request(&mut self) -> Option<PlaceOffset> {
        let offset = self.tracker.as_mut()?.request()?;
        Some((Arc::clone(&self.topic), self.partition, offset))
    }
}

#[cfg(test)]
mod tests;
