//! What is known of things and policies, and what is being asked. No I/O and no clock: the time is handed in.

mod gate;
mod waiters;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;

use self::gate::Gate;
pub(super) use self::waiters::LaneId;
use self::waiters::{Waiters, WaitingLanes};
use super::source::{Finding, Key, Kind, Outage, Scope};

/// What look-ups find.
pub(super) trait Found {
    /// Bytes that it holds, nearly.
    fn weight(&self) -> usize;

    /// The revision that it has; `None` if its source has none, and then it is as new as any.
    fn revision(&self) -> Option<i64>;

    /// Whether another one says the same, so that what was made of this one stays.
    fn is_same(&self, other: &Self) -> bool;
}

/// How long answers count, and how much is asked and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// An answer counts for so long from when it was asked for.
    pub(super) max_age: Duration,
    /// So does one that says that there is nothing.
    pub(super) absent_age: Duration,
    /// For so long a source may answer with an older revision than is known to exist.
    pub(super) max_lag: Duration,
    /// Look-ups at a time.
    pub(super) concurrency: usize,
    /// Bytes that are kept, nearly; what is waited for comes on top.
    pub(super) max_bytes: usize,
}

/// What an asker needs, and who it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want<'w> {
    pub(super) lane: LaneId,
    /// What the lane waits for if there is no answer yet.
    pub(super) thing: &'w str,
    /// How old an answer may be; `None` where the revision says enough.
    pub(super) max_age: Option<Duration>,
    /// The least revision.
    pub(super) at_least: Option<i64>,
}

/// How it stands with what was asked for. It holds until the next answer is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// [`Lookups::found`] has it.
    Known,
    /// There is nothing; [`Lookups::found`] has the last there was.
    Absent,
    /// Not known yet; [`Lookups::found`] has the last there was.
    Pending,
}

/// Something to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) entry: EntryId,
    pub(super) key: Key,
    /// What the last answer was marked with.
    pub(super) validator: Option<Arc<str>>,
    pub(super) asked_at: Instant,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Look this up.
    Ask(Request),
    /// Nothing until then, or until somebody asks or an answer comes.
    Wait(Option<Instant>),
}

/// A number for each key, as long as it is known.
pub(super) type EntryId = usize;

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DirectoryCounts {
    /// Questions that were put to the source.
    pub lookups: u64,
    /// Questions of lanes that were answered at once.
    pub hits: u64,
    /// Those that were not.
    pub misses: u64,
    /// Answers of the source: nothing has changed.
    pub not_modified: u64,
    /// Answers of the source: there is nothing, or nothing that may be read.
    pub absent: u64,
    /// Questions that the source did not answer.
    pub outages: u64,
    /// Answers that were taken although an event has told of a later revision.
    pub behind: u64,
    /// Things that lanes wait for now.
    pub waiting: u64,
    /// Bytes that are kept now, nearly.
    pub bytes: u64,
}

impl DirectoryCounts {
    /// Each with its name in the status.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("lookups", self.lookups),
            ("hits", self.hits),
            ("misses", self.misses),
            ("notModified", self.not_modified),
            ("absent", self.absent),
            ("outages", self.outages),
            ("behind", self.behind),
            ("waiting", self.waiting),
            ("bytes", self.bytes),
        ]
        .into_iter()
    }
}

#[derive(Debug)]
pub(super) struct Lookups<V> {
    bounds: Bounds,
    index: [HashMap<Arc<str>, EntryId>; 3],
    entries: Slab<Entry<V>>,
    /// All entries, for the hand that goes round and takes what was not used since it came by.
    ring: VecDeque<EntryId>,
    queue: VecDeque<EntryId>,
    resting: BinaryHeap<Reverse<(Instant, EntryId)>>,
    asking: usize,
    gate: Gate,
    lanes: WaitingLanes,
    /// Something was put into the queue that [`Self::next`] has not seen.
    has_work: bool,
    weight: usize,
    versions: u64,
    /// Entries that somebody waits for and whose last question was not answered, and why the latest was not.
    failing: usize,
    last_outage: String,
    counts: DirectoryCounts,
}

#[derive(Debug)]
struct Entry<V> {
    key: Key,
    found: Option<Stored<V>>,
    answer: Option<Answered>,
    /// An event has come since it was asked for: the answer may be that of before.
    is_overtaken: bool,
    /// The newest revision of the events that made answers void.
    told: Option<i64>,
    phase: Phase,
    /// Questions in a row that did not bring what was needed.
    attempts: u32,
    has_failed: bool,
    /// The revision that the source does not have yet, and since when that has been known.
    behind: Option<(i64, Instant)>,
    waiters: Waiters,
    is_used: bool,
}

#[derive(Debug)]
struct Stored<V> {
    value: V,
    validator: Option<Arc<str>>,
    version: u64,
}

/// The last definite answer.
#[derive(Debug, Clone, Copy)]
struct Answered {
    asked_at: Instant,
    is_there: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not asked for before then.
    Idle {
        not_before: Option<Instant>,
    },
    Queued,
    Asking,
    Resting,
}

/// What an entry weighs without its value.
const ENTRY_WEIGHT: usize = 256;

impl<V: Found> Lookups<V> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            index: Default::default(),
            entries: Slab::new(),
            ring: VecDeque::new(),
            queue: VecDeque::new(),
            resting: BinaryHeap::new(),
            asking: 0,
            gate: Gate::default(),
            lanes: WaitingLanes::default(),
            has_work: false,
            weight: 0,
            versions: 0,
            failing: 0,
            last_outage: String::new(),
            counts: DirectoryCounts::default(),
        }
    }

    pub(super) fn lanes(&mut self) -> &mut WaitingLanes {
        &mut self.lanes
    }

    pub(super) fn counts(&self) -> DirectoryCounts {
        DirectoryCounts { waiting: self.lanes.waiting() as u64, bytes: self.weight as u64, ..self.counts }
    }

    /// Why questions are not answered, if one was not.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.gate.trouble().or_else(|| (self.failing > 0).then_some(self.last_outage.as_str()))
    }

    /// Asks. Who gets [`Standing::Pending`] is told when it is worth asking again.
    pub(super) fn ask(&mut self, kind: Kind, id: &str, want: &Want<'_>, now: Instant) -> (EntryId, Standing) {
        let entry_id = self.entry(kind, id);
        let Some(entry) = self.entries.get_mut(entry_id) else { return (entry_id, Standing::Pending) };
        entry.is_used = true;
        match entry.judge(want, &self.bounds, now) {
            Judged::Good { standing, is_old } => {
                self.counts.hits += 1;
                if is_old {
                    self.start(entry_id, now);
                }
                (entry_id, standing)
            }
            Judged::Lagging => {
                self.counts.hits += 1;
                self.counts.behind += 1;
                (entry_id, Standing::Known)
            }
            Judged::Bad { is_behind } => {
                self.counts.misses += 1;
                if is_behind && entry.phase == (Phase::Idle { not_before: None }) {
                    entry.attempts = entry.attempts.saturating_add(1);
                    let pause = self.gate.pause(entry.attempts);
                    entry.phase = Phase::Idle { not_before: now.checked_add(pause) };
                }
                let was_trouble = entry.is_trouble();
                self.lanes.wait(&mut entry.waiters, want.lane, want.thing);
                self.failing += usize::from(entry.is_trouble() && !was_trouble);
                self.start(entry_id, now);
                (entry_id, Standing::Pending)
            }
        }
    }

    /// The last there was.
    pub(super) fn found(&self, entry: EntryId) -> Option<&V> {
        self.entries.get(entry)?.found.as_ref().map(|found| &found.value)
    }

    pub(super) fn found_mut(&mut self, entry: EntryId) -> Option<&mut V> {
        self.entries.get_mut(entry)?.found.as_mut().map(|found| &mut found.value)
    }

    /// A number that changes when what was found does.
    pub(super) fn version(&self, entry: EntryId) -> Option<u64> {
        self.entries.get(entry)?.found.as_ref().map(|found| found.version)
    }

    /// What is known of a key by now, and whether it is there; nothing is asked.
    pub(super) fn look(&self, kind: Kind, id: &str) -> Option<(EntryId, Option<bool>)> {
        let entry_id = *self.index.get(kind as usize)?.get(id)?;
        let answer = self.entries.get(entry_id)?.answer;
        Some((entry_id, answer.map(|answer| answer.is_there)))
    }

    /// An event of that revision says that something is not any more as it was: answers to what was asked before do not count.
    /// With `forget` the last there was does not count any more either.
    pub(super) fn invalidate(&mut self, entry: EntryId, revision: Option<i64>, forget: bool) {
        let Some(entry) = self.entries.get_mut(entry) else { return };
        // Each lane reads the same event, at a time of its own.
        if revision.is_some() && revision <= entry.told {
            return;
        }
        entry.told = entry.told.max(revision);
        entry.answer = None;
        entry.is_overtaken = entry.phase == Phase::Asking;
        if forget && let Some(gone) = entry.found.take() {
            self.weight -= gone.value.weight();
        }
    }

    /// Whether it is time to ask [`Self::next`], since the last call.
    pub(super) fn take_work(&mut self) -> bool {
        std::mem::take(&mut self.has_work)
    }

    /// What to look up next.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        while let Some(Reverse((until, entry_id))) = self.resting.peek().copied()
            && until <= now
        {
            self.resting.pop();
            if let Some(entry) = self.entries.get_mut(entry_id) {
                if entry.waiters.is_empty() {
                    entry.phase = Phase::Idle { not_before: None };
                } else {
                    entry.phase = Phase::Queued;
                    self.queue.push_back(entry_id);
                }
            }
        }
        let due = self.resting.peek().map(|Reverse((until, _))| *until);
        if self.queue.is_empty() {
            return Next::Wait(due);
        }
        if let Some(opens) = self.gate.closed_until(now) {
            return Next::Wait(Some(opens));
        }
        if self.asking >= self.gate.limit(self.bounds.concurrency) {
            return Next::Wait(due);
        }
        let Some((entry_id, entry)) =
            self.queue.pop_front().and_then(|id| self.entries.get_mut(id).map(|entry| (id, entry)))
        else {
            return Next::Wait(due);
        };
        entry.phase = Phase::Asking;
        entry.is_overtaken = false;
        self.asking += 1;
        self.counts.lookups += 1;
        let is_there = entry.answer.is_some_and(|answer| answer.is_there);
        let validator = entry.found.as_ref().filter(|_| is_there).and_then(|found| found.validator.clone());
        Next::Ask(Request { entry: entry_id, key: entry.key.clone(), validator, asked_at: now })
    }

    /// Takes the answer to a request.
    pub(super) fn answered(&mut self, request: &Request, finding: Finding<V>, now: Instant) {
        let Some(entry) = self.entries.get_mut(request.entry) else { return };
        self.asking -= 1;
        entry.phase = Phase::Idle { not_before: None };
        let finding = match finding {
            Finding::NotModified if request.validator.is_none() || entry.found.is_none() => {
                Finding::Unavailable(Outage::of_entry(
                    "the answer is `not modified`, although nothing was known",
                ))
            }
            finding => finding,
        };
        let is_there = match finding {
            Finding::Unavailable(outage) => return self.failed(request, outage, now),
            _ if entry.is_overtaken => None,
            Finding::Found { value, validator } => {
                match &mut entry.found {
                    Some(found) if found.value.is_same(&value) => found.validator = validator,
                    found => {
                        self.versions += 1;
                        self.weight += value.weight();
                        let new = Stored { value, validator, version: self.versions };
                        self.weight -= found.replace(new).map_or(0, |gone| gone.value.weight());
                    }
                }
                Some(true)
            }
            Finding::NotModified => {
                self.counts.not_modified += 1;
                Some(true)
            }
            Finding::Absent => {
                self.counts.absent += 1;
                Some(false)
            }
        };
        if let Some(is_there) = is_there {
            entry.answer = Some(Answered { asked_at: request.asked_at, is_there });
        }
        if entry.behind.is_none() {
            entry.attempts = 0;
        }
        self.failing -= usize::from(entry.is_trouble());
        entry.has_failed = false;
        self.gate.open();
        self.lanes.wake(&mut entry.waiters);
        self.trim();
    }

    fn failed(&mut self, request: &Request, outage: Outage, now: Instant) {
        let Some(entry) = self.entries.get_mut(request.entry) else { return };
        self.counts.outages += 1;
        entry.attempts = entry.attempts.saturating_add(1);
        self.failing -= usize::from(entry.is_trouble());
        entry.has_failed = true;
        self.failing += usize::from(entry.is_trouble());
        // Also where all are concerned: the next one to try is another, in case that it was this one's fault.
        let mut pause = self.gate.pause(entry.attempts);
        match outage.scope {
            Scope::Source => self.gate.close(request.asked_at, outage.retry_after, &outage.why, now),
            Scope::Entry => pause = pause.max(gate::asked_for(outage.retry_after)),
        }
        entry.phase = Phase::Idle { not_before: now.checked_add(pause) };
        if !entry.waiters.is_empty() {
            self.start(request.entry, now);
        }
        self.last_outage = outage.why;
    }

    /// Has it asked for, unless it is already.
    fn start(&mut self, entry_id: EntryId, now: Instant) {
        let Some(entry) = self.entries.get_mut(entry_id) else { return };
        self.has_work |= matches!(entry.phase, Phase::Idle { .. });
        match entry.phase {
            Phase::Idle { not_before: Some(then) } if then > now => {
                entry.phase = Phase::Resting;
                self.resting.push(Reverse((then, entry_id)));
            }
            Phase::Idle { .. } => {
                entry.phase = Phase::Queued;
                self.queue.push_back(entry_id);
            }
            Phase::Queued | Phase::Asking | Phase::Resting => {}
        }
    }

    fn entry(&mut self, kind: Kind, id: &str) -> EntryId {
        if let Some(known) = self.index.get(kind as usize).and_then(|index| index.get(id)) {
            return *known;
        }
        let id: Arc<str> = id.into();
        self.weight += ENTRY_WEIGHT + id.len();
        let entry_id = self.entries.insert(Entry {
            key: Key { kind, id: id.clone() },
            found: None,
            answer: None,
            is_overtaken: false,
            told: None,
            phase: Phase::Idle { not_before: None },
            attempts: 0,
            has_failed: false,
            behind: None,
            waiters: Waiters::default(),
            is_used: true,
        });
        if let Some(index) = self.index.get_mut(kind as usize) {
            index.insert(id, entry_id);
        }
        self.ring.push_back(entry_id);
        entry_id
    }

    /// Forgets what was not used for longest, until the rest is within its bound. What somebody waits for stays.
    fn trim(&mut self) {
        for _ in 0..self.ring.len() * 2 {
            if self.weight <= self.bounds.max_bytes {
                return;
            }
            let Some(entry_id) = self.ring.pop_front() else { return };
            let Some(entry) = self.entries.get_mut(entry_id) else { continue };
            let is_idle = matches!(entry.phase, Phase::Idle { .. }) && entry.waiters.is_empty();
            if !is_idle || std::mem::take(&mut entry.is_used) {
                self.ring.push_back(entry_id);
                continue;
            }
            let gone = self.entries.remove(entry_id);
            self.weight -= ENTRY_WEIGHT + gone.key.id.len();
            self.weight -= gone.found.map_or(0, |found| found.value.weight());
            if let Some(index) = self.index.get_mut(gone.key.kind as usize) {
                index.remove(&gone.key.id);
            }
        }
    }
}

/// Whether an answer is good enough.
enum Judged {
    /// It is; `is_old` if it will not be for much longer.
    Good { standing: Standing, is_old: bool },
    /// It is not, but the source has been given time enough.
    Lagging,
    /// It is not; `is_behind` if that is all that was found although it was asked for it.
    Bad { is_behind: bool },
}

impl<V> Entry<V> {
    /// Whether somebody waits for it in vain.
    fn is_trouble(&self) -> bool {
        self.has_failed && !self.waiters.is_empty()
    }
}

impl<V: Found> Entry<V> {
    fn judge(&mut self, want: &Want<'_>, bounds: &Bounds, now: Instant) -> Judged {
        const BAD: Judged = Judged::Bad { is_behind: false };
        let Some(answer) = self.answer else { return BAD };
        let age = now.saturating_duration_since(answer.asked_at);
        if !answer.is_there {
            let good = Judged::Good { standing: Standing::Absent, is_old: false };
            return if age <= bounds.absent_age { good } else { BAD };
        }
        if want.max_age.is_some_and(|max_age| age > max_age) {
            return BAD;
        }
        let revision = self.found.as_ref().and_then(|found| found.value.revision());
        if let (Some(revision), Some(least)) = (revision, want.at_least)
            && revision < least
        {
            // A lane that is behind asks for less than one that is ahead.
            let (told, since) = *self.behind.get_or_insert((least, now));
            self.behind = Some((told.max(least), since));
            let is_asked = answer.asked_at >= since;
            let is_patient = now.saturating_duration_since(since) >= bounds.max_lag;
            return if is_asked && is_patient && age <= bounds.max_age {
                Judged::Lagging
            } else {
                Judged::Bad { is_behind: is_asked }
            };
        }
        if self.behind.is_some_and(|(told, _)| revision.is_none_or(|revision| revision >= told)) {
            self.behind = None;
            self.attempts = 0;
        }
        // It is asked for again before it is needed, so that what is used all the time never waits.
        let is_old = want.max_age.is_some_and(|max_age| age > max_age / 4 * 3);
        Judged::Good { standing: Standing::Known, is_old }
    }
}

#[cfg(test)]
mod tests;
