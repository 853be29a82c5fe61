use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::*;

const TOPIC: &str = "in";
const SPAN: Bounds = Bounds { records: 8, bytes: 60 };
/// A batch, and the size of each record.
const BATCH: usize = 3;
const BYTES: usize = 10;

fn partitions() -> Partitions {
    Partitions::new(SPAN)
}

fn hand_out(partitions: &mut Partitions, partition: i32, offset: i64) -> ConsumerTicket {
    partitions.track(TOPIC, partition, offset, BYTES).expect("it is handed out").1
}

fn commits(commits: impl IntoIterator<Item = PlaceOffset>) -> BTreeMap<i32, i64> {
    commits.into_iter().map(|(_, partition, offset)| (partition, offset)).collect()
}

/// Debezium #7945: several target records were made of one source record, the offset was committed with an inner one, and
/// the rest was lost by a restart. Here a record of the feed has one ticket, and it moves nothing until it settles, whatever
/// settles around it. That it settles only after the last of its target records is the lane's part: see
/// `one_outcome_per_target_only_to_readers_in_order` in ditto-outbound.
#[test]
fn debezium_7945_a_record_with_open_outcomes_is_never_committed_over() {
    let mut partitions = partitions();
    partitions.assign(TOPIC, 0, Some(100));
    let tickets: Vec<_> = (100..103).map(|offset| hand_out(&mut partitions, 0, offset)).collect();
    // 101 makes three target records; the outcomes of two are known, so nobody settles it. Its neighbours are done.
    partitions.settle(&[tickets[2], tickets[0]]);
    assert_eq!(commits(partitions.take_commit(true)), BTreeMap::from([(0, 101)]));
    // Neither does the end of the assignment commit more: whoever comes next reads 101 again, and 102 too.
    assert_eq!(partitions.revoke(TOPIC, 0), None, "nothing new");

    partitions.assign(TOPIC, 0, Some(101));
    let again: Vec<_> = (101..103).map(|offset| hand_out(&mut partitions, 0, offset)).collect();
    partitions.settle(&again);
    assert_eq!(partitions.revoke(TOPIC, 0).map(|it| it.2), Some(103));
}

/// Redpanda Connect #4477: an acknowledgement that came after its partition was revoked got committed by the next interval,
/// for a partition that somebody else had by then.
#[test]
fn redpanda_connect_4477_nothing_is_committed_for_a_revoked_partition() {
    let mut partitions = partitions();
    partitions.assign(TOPIC, 0, Some(0));
    partitions.assign(TOPIC, 1, Some(0));
    let gone: Vec<_> = (0..3).map(|offset| hand_out(&mut partitions, 0, offset)).collect();
    let kept = hand_out(&mut partitions, 1, 0);
    partitions.settle(&gone[..1]);
    assert_eq!(
        partitions.revoke(TOPIC, 0).map(|it| it.2),
        Some(1),
        "what had settled is committed at the end"
    );
    // Another member owns it now.
    partitions.settle(&gone[1..]);
    partitions.settle(&[kept]);
    assert_eq!(commits(partitions.take_commit(true)), BTreeMap::from([(1, 1)]));
}

/// The same, with the partition back at this member before the acknowledgement: offset 1 is out again, and not settled.
#[test]
fn redpanda_connect_4477_tickets_of_an_earlier_assignment_are_void() {
    let mut partitions = partitions();
    partitions.assign(TOPIC, 0, Some(0));
    let earlier: Vec<_> = (0..3).map(|offset| hand_out(&mut partitions, 0, offset)).collect();
    partitions.settle(&earlier[..1]);
    partitions.revoke(TOPIC, 0);
    partitions.assign(TOPIC, 0, Some(1));
    let again: Vec<_> = (1..3).map(|offset| hand_out(&mut partitions, 0, offset)).collect();
    partitions.settle(&earlier);
    assert_eq!(commits(partitions.take_commit(true)), BTreeMap::from([(0, 1)]), "the start, and no more");
    partitions.settle(&again);
    assert_eq!(commits(partitions.take_commit(true)), BTreeMap::from([(0, 3)]));
}

#[test]
fn a_partition_pauses_as_long_as_commits_fail() {
    let mut partitions = partitions();
    partitions.assign(TOPIC, 0, Some(0));
    for offset in 0..6 {
        let ticket = hand_out(&mut partitions, 0, offset);
        partitions.settle(&[ticket]);
        // Every record has settled, and not one commit succeeds.
        partitions.take_commit(true);
        partitions.forget_requests();
    }
    assert_eq!(partitions.take_switches(false).pause, [(TOPIC.into(), 0)]);
    assert_eq!(partitions.take_commit(true), [(TOPIC.into(), 0, 6)]);
    partitions.committed(TOPIC, 0, 6);
    assert_eq!(partitions.take_switches(false).resume, [(TOPIC.into(), 0)]);
}

#[test]
fn what_is_assigned_while_all_are_held_is_held_too() {
    let mut partitions = partitions();
    partitions.assign(TOPIC, 0, Some(0));
    assert_eq!(partitions.take_switches(true).pause, [(TOPIC.into(), 0)]);
    partitions.assign(TOPIC, 1, Some(0));
    assert_eq!(partitions.take_switches(true).pause, [(TOPIC.into(), 1)]);
    assert_eq!(partitions.take_switches(false).resume.len(), 2);
}

#[derive(Debug, Clone)]
enum Op {
    Assign {
        partition: i32,
        start: Option<i64>,
    },
    /// A batch of records, each so far behind the one before.
    Read {
        partition: i32,
        gaps: Vec<i64>,
    },
    /// A record that must not be handed out: it was before, or its partition is not ours.
    Intrude {
        partition: i32,
        back: i64,
    },
    /// Any ticket that there ever was.
    Settle(Vec<prop::sample::Index>),
    Commit {
        everything: bool,
    },
    /// The oldest commit that was asked for is answered.
    Answer {
        succeeds: bool,
    },
    Hold,
    Revoke(i32),
    Lose(i32),
    /// Its next record does not exist: it goes on elsewhere.
    Restart {
        partition: i32,
        start: i64,
    },
}

fn op() -> impl Strategy<Value = Op> {
    let partition = || 0..3_i32;
    prop_oneof![
        2 => (partition(), prop::option::weighted(0.8, 0..40_i64)).prop_map(|(partition, start)| Op::Assign { partition, start }),
        6 => (partition(), prop::collection::vec(0..3_i64, 1..=BATCH)).prop_map(|(partition, gaps)| Op::Read { partition, gaps }),
        1 => (partition(), 1..5_i64).prop_map(|(partition, back)| Op::Intrude { partition, back }),
        6 => prop::collection::vec(any::<prop::sample::Index>(), 1..6).prop_map(Op::Settle),
        4 => any::<bool>().prop_map(|everything| Op::Commit { everything }),
        4 => prop::bool::weighted(0.7).prop_map(|succeeds| Op::Answer { succeeds }),
        1 => Just(Op::Hold),
        1 => partition().prop_map(Op::Revoke),
        1 => partition().prop_map(Op::Lose),
        1 => (partition(), 0..40_i64).prop_map(|(partition, start)| Op::Restart { partition, start }),
    ]
}

/// What is known of a partition that is assigned, in plain words.
#[derive(Debug, Default)]
struct Known {
    handed_out: BTreeSet<i64>,
    unsettled: BTreeSet<i64>,
    next: Option<i64>,
    /// The newest offset that was asked for, and whether that request stands.
    asked: Option<i64>,
    stands: bool,
    /// The newest offset that the cluster has.
    committed: Option<i64>,
    is_paused: bool,
}

#[derive(Debug, Default)]
struct Model {
    assigned: BTreeMap<i32, Known>,
    /// Each ticket with its partition; `None` once that assignment is over.
    tickets: Vec<(ConsumerTicket, Option<i32>)>,
    in_flight: VecDeque<Vec<PlaceOffset>>,
}

impl Model {
    fn assign(&mut self, partition: i32, start: Option<i64>) {
        self.end(partition);
        self.assigned.insert(partition, Known { next: start, committed: start, ..Known::default() });
    }

    fn end(&mut self, partition: i32) {
        self.assigned.remove(&partition);
        self.tickets.iter_mut().filter(|it| it.1 == Some(partition)).for_each(|it| it.1 = None);
    }

    fn switch(&mut self, switches: &Switches) -> Result<(), TestCaseError> {
        for (places, pauses) in [(&switches.pause, true), (&switches.resume, false)] {
            for (_, partition) in places {
                let known = self.assigned.get_mut(partition).expect("only assigned partitions are switched");
                prop_assert_eq!(known.is_paused, !pauses, "switched to what it is");
                known.is_paused = pauses;
            }
        }
        Ok(())
    }

    /// Every commit, however it came about.
    fn commit(&mut self, commit: &PlaceOffset) -> Result<(), TestCaseError> {
        let (_, partition, offset) = commit;
        let Some(known) = self.assigned.get_mut(partition) else {
            return Err(TestCaseError::fail(format!("partition {partition} is not assigned")));
        };
        let bound = known.unsettled.first().copied().or(known.next);
        prop_assert!(Some(*offset) <= bound, "{} is above the first unsettled, {:?}", offset, bound);
        prop_assert!(known.asked.is_none_or(|asked| asked <= *offset), "{} goes back", offset);
        (known.asked, known.stands) = (Some(*offset), true);
        Ok(())
    }

    fn apply(&mut self, partitions: &mut Partitions, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Assign { partition, start } => {
                if !self.assigned.contains_key(&partition) {
                    partitions.assign(TOPIC, partition, start);
                    self.assign(partition, start);
                }
            }
            Op::Restart { partition, start } => {
                if self.assigned.contains_key(&partition) {
                    partitions.restart(TOPIC, partition, start);
                    self.assign(partition, Some(start));
                }
            }
            Op::Read { partition, gaps } => {
                self.switch(&partitions.take_switches(false))?;
                let Some(known) = self.assigned.get_mut(&partition).filter(|it| !it.is_paused) else {
                    return Ok(());
                };
                for gap in gaps {
                    let offset = known.next.unwrap_or(5) + gap;
                    let ticket = hand_out(partitions, partition, offset);
                    known.handed_out.insert(offset);
                    known.unsettled.insert(offset);
                    known.next = Some(offset + 1);
                    self.tickets.push((ticket, Some(partition)));
                }
                // What the group would read again: all that is not known to be committed.
                let from = known.committed.unwrap_or_default();
                let again = known.handed_out.range(from..).count();
                prop_assert!(again < SPAN.records + BATCH, "{} records beyond the commit", again);
                prop_assert!(
                    again * BYTES < SPAN.bytes + BATCH * BYTES,
                    "{} records beyond the commit",
                    again
                );
            }
            Op::Intrude { partition, back } => {
                let next = self.assigned.get(&partition).map(|it| it.next);
                match next {
                    None => prop_assert_eq!(partitions.track(TOPIC, partition, back, BYTES), None),
                    Some(Some(next)) => {
                        prop_assert_eq!(partitions.track(TOPIC, partition, next - back, BYTES), None)
                    }
                    Some(None) => {}
                }
            }
            Op::Settle(which) => {
                if self.tickets.is_empty() {
                    return Ok(());
                }
                let which: Vec<_> = which.iter().map(|it| *it.get(&self.tickets)).collect();
                partitions.settle(&which.iter().map(|it| it.0).collect::<Vec<_>>());
                for (ticket, partition) in which {
                    if let Some(known) = partition.and_then(|it| self.assigned.get_mut(&it)) {
                        known.unsettled.remove(&ticket.offset);
                    }
                }
            }
            Op::Commit { everything } => {
                let commits = partitions.take_commit(everything);
                commits.iter().try_for_each(|commit| self.commit(commit))?;
                self.in_flight.push_back(commits);
                for known in self.assigned.values().filter(|it| everything && it.unsettled.is_empty()) {
                    prop_assert_eq!(known.asked, known.next, "all has settled");
                }
            }
            Op::Answer { succeeds } => {
                let answered = self.in_flight.pop_front();
                if !succeeds {
                    partitions.forget_requests();
                    self.assigned.values_mut().for_each(|it| it.stands = false);
                    return Ok(());
                }
                for (topic, partition, offset) in answered.into_iter().flatten() {
                    partitions.committed(&topic, partition, offset);
                    if let Some(known) = self.assigned.get_mut(&partition) {
                        known.committed = known.committed.max(Some(offset));
                    }
                }
            }
            Op::Hold => self.switch(&partitions.take_switches(true))?,
            Op::Revoke(partition) => {
                let was_assigned = self.assigned.get(&partition).map(|it| (it.unsettled.is_empty(), it.next));
                let last = partitions.revoke(TOPIC, partition);
                if let Some(commit) = &last {
                    self.commit(commit)?;
                }
                if let Some((true, next)) = was_assigned {
                    prop_assert_eq!(self.assigned[&partition].asked, next, "all has settled");
                }
                self.in_flight.push_back(last.into_iter().collect());
                self.end(partition);
            }
            Op::Lose(partition) => {
                partitions.lose(TOPIC, partition);
                self.end(partition);
            }
        }
        Ok(())
    }

    /// In the end everything settles, and commits succeed: nothing may be left that pauses, or that would be read again.
    fn come_to_rest(&mut self, partitions: &mut Partitions) -> Result<(), TestCaseError> {
        partitions.settle(&self.tickets.iter().map(|it| it.0).collect::<Vec<_>>());
        self.assigned.values_mut().for_each(|it| it.unsettled.clear());
        self.apply(partitions, Op::Commit { everything: true })?;
        while !self.in_flight.is_empty() {
            self.apply(partitions, Op::Answer { succeeds: true })?;
        }
        self.switch(&partitions.take_switches(false))?;
        for (partition, known) in &self.assigned {
            prop_assert!(!known.is_paused, "{} is paused for ever", partition);
            // Where a request failed, it has been made again; where not, the answer was that of the newest.
            prop_assert!(known.stands || known.next.is_none());
            prop_assert!(known.committed >= known.next, "{:?} of {:?}", known.committed, known.next);
        }
        let positions = partitions.positions().into_iter().map(|it| (it.partition, it.next));
        let next = self.assigned.iter().map(|(partition, known)| (*partition, known.next));
        prop_assert_eq!(positions.collect::<BTreeMap<_, _>>(), next.collect::<BTreeMap<_, _>>());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Against the plain model, in any order: no commit above the first unsettled record of this assignment, none for a
    /// partition that is not assigned, none that goes back; the span holds even while commits fail; and what has settled is
    /// committed in the end.
    #[test]
    fn commits_follow_settlement(ops in prop::collection::vec(op(), 1..80)) {
        let (mut partitions, mut model) = (partitions(), Model::default());
        for op in ops {
            model.apply(&mut partitions, op)?;
        }
        model.come_to_rest(&mut partitions)?;
    }
}
