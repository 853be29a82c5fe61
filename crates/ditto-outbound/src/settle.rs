//! What is in flight, and when a ticket settles.

mod letters;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;
use smallvec::SmallVec;
use tracing::{error, info};

use crate::acknowledge::{AcknowledgementSink, Ledger};
use crate::counters::{LATE, LaneCounters};
use crate::dead_letter::{DueLetter, DueOriginal};
use crate::journal::About;
use crate::leaf::{Delivered, Token, Written};
use crate::outcome::{DeliverError, DropReason, Outcome};
use crate::signal::RoutedSignal;
use crate::target::CompiledTarget;

/// Signals and records in flight of one lane.
///
/// INVARIANT: a ticket settles once, when each selected target of its signal has its outcome and every record of it
/// is acknowledged or refused, and so is every dead letter of it; so a feed never moves past a record that is still on its way.
pub(crate) struct Settlement<T> {
    signals: Slab<SignalInFlight<T>>,
    records: Slab<RecordInFlight>,
    settled: Vec<T>,
    acknowledgements: Box<dyn AcknowledgementSink>,
    counters: Arc<LaneCounters>,
    /// Where records of the feed are kept that are no signals or have failed, if anywhere.
    originals_to: Option<Arc<CompiledTarget>>,
    /// Dead letters that nobody has taken yet.
    letters: Vec<DueLetter>,
    originals: Vec<DueOriginal>,
    /// When requesters wait no longer.
    deadlines: BinaryHeap<Reverse<Deadline>>,
    /// Grows with each record.
    next_order: u64,
    /// Grows with each signal that has a ledger.
    next_id: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    at: Instant,
    signal: SignalKey,
    /// That of the signal's ledger: the key may be another signal's by then.
    id: u64,
}

/// The longest time until a requester hears of a signal.
const PATIENCE: Duration = Duration::from_secs(10);

/// A signal in flight.
pub(crate) type SignalKey = usize;

#[derive(Debug)]
struct SignalInFlight<T> {
    ticket: T,
    /// Targets without an outcome, plus one while the signal is being routed.
    open: u32,
    /// Dead letters that are on their way.
    open_letters: u32,
    /// The signal, if its failure has a letter.
    signal: Option<Arc<RoutedSignal>>,
    targets: SmallVec<[TargetInFlight; 1]>,
    /// Only for signals whose requester wants to know.
    ledger: Option<Box<Ledger>>,
    /// Only for live signals that have a time-out: after it nobody waits for them, in milliseconds since 1970.
    expires_ms: Option<i64>,
}

#[derive(Debug)]
struct TargetInFlight {
    target: Arc<CompiledTarget>,
    /// What the journal says of it, if it is to be written there.
    about: Option<Box<About>>,
    open_records: u32,
    /// The first outcome of a record that was not published.
    unpublished: Option<Outcome>,
}

#[derive(Debug, Clone, Copy)]
struct RecordInFlight {
    signal: SignalKey,
    /// Index in the signal's `targets`.
    target: usize,
    /// The place among all records of the lane.
    order: u64,
}

impl<T> Settlement<T> {
    pub(crate) fn new(acknowledgements: Box<dyn AcknowledgementSink>, counters: Arc<LaneCounters>) -> Self {
        Self {
            signals: Slab::new(),
            records: Slab::new(),
            settled: Vec::new(),
            acknowledgements,
            counters,
            originals_to: None,
            letters: Vec::new(),
            originals: Vec::new(),
            deadlines: BinaryHeap::new(),
            next_order: 0,
            next_id: 0,
        }
    }

    /// Whether everything has settled.
    pub(crate) fn is_idle(&self) -> bool {
        self.signals.is_empty()
    }

    /// Signals that have not settled.
    pub(crate) fn in_flight(&self) -> usize {
        self.signals.len()
    }

    /// Tickets to hand back to the feed.
    pub(crate) fn settled(&mut self) -> &mut Vec<T> {
        &mut self.settled
    }

    /// Settles a record that is no signal or has no target.
    pub(crate) fn settle(&mut self, ticket: T, ledger: Option<Box<Ledger>>) {
        self.acknowledge(ledger);
        self.settled.push(ticket);
    }

    /// Starts routing of a signal; [`Self::routed`] ends it.
    pub(crate) fn begin(
        &mut self,
        ticket: T,
        mut ledger: Option<Box<Ledger>>,
        expires_ms: Option<i64>,
    ) -> SignalKey {
        let id = self.next_id;
        let deadline = ledger.as_deref_mut().map(|ledger| {
            self.next_id += 1;
            ledger.set_id(id);
            Instant::now() + ledger.timeout().map_or(PATIENCE, |timeout| timeout.min(PATIENCE))
        });
        let signal = self.signals.insert(SignalInFlight {
            ticket,
            open: 1,
            open_letters: 0,
            signal: None,
            targets: SmallVec::new(),
            ledger,
            expires_ms,
        });
        if let Some(at) = deadline {
            self.forget_answered();
            self.deadlines.push(Reverse(Deadline { at, signal, id }));
        }
        signal
    }

    /// Adds a selected target; returns its index within the signal.
    pub(crate) fn select(&mut self, signal: SignalKey, target: &Arc<CompiledTarget>) -> usize {
        target.counters().select();
        let Some(entry) = self.signals.get_mut(signal) else { return 0 };
        entry.open += 1;
        entry.targets.push(TargetInFlight {
            target: target.clone(),
            about: None,
            open_records: 0,
            unpublished: None,
        });
        entry.targets.len() - 1
    }

    /// What becomes of a signal at a target is to be written into the journal, with what it is about.
    pub(crate) fn watch(&mut self, signal: SignalKey, target: usize, about: About) {
        if let Some(target) = self.signals.get_mut(signal).and_then(|signal| signal.targets.get_mut(target)) {
            target.about = Some(Box::new(about));
        }
    }

    /// The same, of the signal of a record.
    pub(crate) fn watch_record(&mut self, token: Token, about: About) {
        if let Some(record) = self.records.get(token as usize).copied() {
            self.watch(record.signal, record.target, about);
        }
    }

    /// Adds a record of a selected target. All records of a target are added before one of them is enqueued.
    pub(crate) fn open_record(&mut self, signal: SignalKey, target: usize) -> Token {
        let order = self.next_order;
        self.next_order += 1;
        let key = self.records.insert(RecordInFlight { signal, target, order });
        // The window is bounded by the feed's span and the permits, far below 2^32.
        let token = Token::try_from(key).unwrap_or(Token::MAX);
        if let Some(entry) = self.signals.get_mut(signal)
            && let Some(of_target) = entry.targets.get_mut(target)
        {
            of_target.open_records += 1;
            if let Some(ledger) = &mut entry.ledger {
                ledger.opened(&of_target.target, token);
            }
        }
        token
    }

    /// Place and target of a record in flight.
    pub(crate) fn record(&self, token: Token) -> Option<(u64, &Arc<CompiledTarget>)> {
        let record = self.records.get(token as usize)?;
        let target = self.signals.get(record.signal)?.targets.get(record.target)?;
        Some((record.order, &target.target))
    }

    /// Whether nobody waits any more for the signal of a record.
    pub(crate) fn is_expired(&self, token: Token, now_ms: i64) -> bool {
        let Some(record) = self.records.get(token as usize) else { return false };
        let signal = self.signals.get(record.signal).filter(|signal| {
            // Nobody waits for a dead letter, however late it is.
            signal.targets.get(record.target).is_some_and(|it| it.target.letter_topic().is_none())
        });
        signal.and_then(|signal| signal.expires_ms).is_some_and(|expires| expires <= now_ms)
    }

    /// Remembers what was handed to the leaf, for the acknowledgement.
    pub(crate) fn enqueued(&mut self, token: Token, written: Written) {
        let Some(record) = self.records.get(token as usize) else { return };
        if let Some(signal) = self.signals.get_mut(record.signal)
            && let Some(target) = signal.targets.get(record.target)
            && let Some(ledger) = &mut signal.ledger
        {
            ledger.enqueued(&target.target, token, written);
        }
    }

    /// A record has its final result.
    pub(crate) fn complete(&mut self, token: Token, result: Result<Delivered, DeliverError>) {
        let Some(record) = self.records.try_remove(token as usize) else { return };
        if let Some(signal) = self.signals.get_mut(record.signal)
            && let Some(target) = signal.targets.get(record.target)
        {
            if result.is_ok() {
                target.target.counters().write();
            }
            if let Some(ledger) = &mut signal.ledger {
                ledger.completed(&target.target, token, result.clone());
            }
        }
        self.close_record(record, result.err().map(Outcome::Failed));
    }

    /// A record was left out on purpose on its way to the leaf.
    pub(crate) fn drop_record(&mut self, token: Token, reason: DropReason) {
        let Some(record) = self.records.try_remove(token as usize) else { return };
        if let Some(signal) = self.signals.get_mut(record.signal)
            && let Some(target) = signal.targets.get(record.target)
            && let Some(ledger) = &mut signal.ledger
        {
            ledger.dropped(&target.target, token);
        }
        self.close_record(record, Some(Outcome::Dropped(reason)));
    }

    fn close_record(&mut self, record: RecordInFlight, unpublished: Option<Outcome>) {
        let Some(signal) = self.signals.get_mut(record.signal) else { return };
        let Some(target) = signal.targets.get_mut(record.target) else { return };
        target.open_records -= 1;
        if let Some(outcome) = unpublished {
            // The first one names the outcome of the target; the others are in the ledger.
            target.unpublished.get_or_insert(outcome);
        }
        if target.open_records == 0 {
            let outcome = target.unpublished.take().unwrap_or(Outcome::Published);
            if target.target.letter_topic().is_some() {
                count(&target.target, &outcome);
                return self.close_letter(record.signal);
            }
            tell(target, signal.ledger.as_deref(), &outcome);
            if let Outcome::Failed(error) = outcome {
                self.bury(record.signal, record.target, Some(record.order), &error);
            }
            self.close_one(record.signal);
        }
    }

    /// A selected target ended without any record.
    pub(crate) fn end(&mut self, signal: SignalKey, target: usize, outcome: &Outcome) {
        let Some(entry) = self.signals.get_mut(signal) else { return };
        let Some(ended) = entry.targets.get(target) else { return };
        tell(ended, entry.ledger.as_deref(), outcome);
        if let Some(ledger) = &mut entry.ledger {
            ledger.ended(&ended.target, outcome);
        }
        if let Outcome::Failed(error) = outcome {
            self.bury(signal, target, None, error);
        }
        self.close_one(signal);
    }

    /// All targets of the signal are known.
    pub(crate) fn routed(&mut self, signal: SignalKey) {
        self.close_one(signal);
    }

    fn close_one(&mut self, key: SignalKey) {
        let Some(signal) = self.signals.get_mut(key) else { return };
        signal.open -= 1;
        if signal.open > 0 {
            return;
        }
        // Whoever waits is told without waiting for dead letters.
        let ledger = signal.ledger.take();
        self.acknowledge(ledger);
        self.settle_signal(key);
    }

    /// Settles the ticket of a signal unless something of it is on its way.
    fn settle_signal(&mut self, key: SignalKey) {
        if self.signals.get(key).is_some_and(|signal| signal.open == 0 && signal.open_letters == 0)
            && let Some(signal) = self.signals.try_remove(key)
        {
            self.settled.push(signal.ticket);
        }
    }

    fn acknowledge(&mut self, ledger: Option<Box<Ledger>>) {
        if let Some(ledger) = &ledger {
            ledger.count();
        }
        for acknowledgement in ledger.iter().flat_map(|ledger| ledger.acknowledgements()) {
            self.counters.acknowledge();
            self.acknowledgements.send(acknowledgement);
        }
    }

    /// When the next requester waits no longer.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        self.forget_answered();
        self.deadlines.peek().map(|Reverse(next)| next.at)
    }

    /// Answers requesters that wait no longer: what is still being tried counts as failed by what `trouble` says of its
    /// target. It is the only answer of those signals.
    pub(crate) fn answer_late(
        &mut self,
        now: Instant,
        trouble: impl Fn(&CompiledTarget) -> Option<DeliverError>,
    ) {
        while let Some(Reverse(next)) = self.deadlines.peek().copied()
            && next.at <= now
        {
            self.deadlines.pop();
            if self.is_awaited(next)
                && let Some(mut ledger) = self.signals.get_mut(next.signal).and_then(|it| it.ledger.take())
            {
                ledger.give_up(&trouble);
                self.acknowledge(Some(ledger));
            }
        }
    }

    /// Takes away deadlines at the front whose signals have their answer.
    fn forget_answered(&mut self) {
        while let Some(Reverse(next)) = self.deadlines.peek().copied()
            && !self.is_awaited(next)
        {
            self.deadlines.pop();
        }
    }

    fn is_awaited(&self, deadline: Deadline) -> bool {
        let ledger = self.signals.get(deadline.signal).and_then(|signal| signal.ledger.as_ref());
        ledger.is_some_and(|ledger| ledger.id() == deadline.id)
    }
}

/// Counts an outcome, and writes it into the journal: each that is not as it is meant to, and of others those that are due.
fn tell(target: &TargetInFlight, ledger: Option<&Ledger>, outcome: &Outcome) {
    count(&target.target, outcome);
    let is_wrong = match outcome {
        Outcome::Published => false,
        Outcome::Dropped(reason) => LATE.contains(reason),
        Outcome::Failed(_) => true,
    };
    if !is_wrong && target.about.is_none() {
        return;
    }
    let known = || ledger.map(|ledger| About::of(ledger.signal())).unwrap_or_default();
    let about = target.about.as_deref().cloned().unwrap_or_else(known);
    target.target.journal().of_signal(target.target.shared_address(), &about, outcome);
}

/// Counts an outcome. Of what is not published the 1st, 2nd, 4th, 8th … of a kind is logged: nothing ends silently, and
/// a target that refuses everything does not drown the log.
fn count(target: &CompiledTarget, outcome: &Outcome) {
    let total = target.counters().record(outcome);
    if !total.is_power_of_two() {
        return;
    }
    let (connection, address) = (target.connection_id(), target.address_text());
    match outcome {
        Outcome::Published => {}
        Outcome::Dropped(reason) => {
            info!(connection, address, reason = reason.name(), total, "signal dropped: {reason}");
        }
        Outcome::Failed(error) if target.letter_topic().is_some() => {
            let reason = error.kind().name();
            error!(connection, topic = address, reason, total, %error, "dead letter not written");
        }
        Outcome::Failed(error) => {
            let reason = error.kind().name();
            error!(connection, address, reason, total, %error, "signal not published");
        }
    }
}
