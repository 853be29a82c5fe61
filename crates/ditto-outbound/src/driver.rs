//! One connection of a lane: its stacks, and what waits between them.

mod dead;
mod holding;
mod leaving;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use tower::Service;

use self::dead::Letters;
use self::holding::{Outgoing, Scope};
use crate::hold::{Gate, Parked};
use crate::journal::About;
use crate::leaf::{Completing, Completion, Enqueued, Leaf, Token};
use crate::map::{Mapped, Prepared};
use crate::outcome::{DeliverError, DeliverErrorKind, DropReason, Outcome};
use crate::settle::{Settlement, SignalKey};
use crate::signal::{Selected, now_ms};
use crate::stack::{self, Deliver, Prepare};
use crate::stage::Immediate;
use crate::target::{CompiledConnection, CompiledTarget};

/// The stacks of one connection and what waits between them.
///
/// INVARIANT: of each target, what is parked goes out in the order in which it was first to be enqueued, and before
/// everything else; and nothing of a target that was on hold goes out while the leaf still has something of it.
pub(crate) struct Driver<L> {
    connection: Arc<CompiledConnection>,
    /// Whether an error that somebody can mend is waited out.
    can_replay: bool,
    prepare: Prepare,
    deliver: Deliver<L>,
    /// Given back by the leaf, or released; goes before everything that waits.
    again: BTreeMap<u64, Parked>,
    /// Mapped messages in feed order; never more than those of one signal.
    waiting: VecDeque<Mapped>,
    /// Dead letters that wait for what was before them.
    letters: Letters,
    /// By their places in the definition; then the topic for dead letters, if there is one.
    targets: Box<[Outgoing]>,
    /// Set while the connection is on hold.
    gate: Option<Gate>,
    /// Nothing is on hold or parked: the usual case, which costs nothing.
    is_calm: bool,
    /// Since when the producer fails, without a record that was delivered.
    failing_since: Option<Instant>,
    /// When it was last looked at what is due: what was due then waits for the leaf, which wakes the lane.
    looked_at: Instant,
    /// Reused for each batch of completions.
    completions: Vec<Completion>,
}

impl<L: Leaf> Driver<L> {
    pub(crate) fn new(connection: Arc<CompiledConnection>, leaf: L, can_replay: bool) -> Self {
        Self {
            can_replay,
            prepare: stack::prepare(),
            deliver: stack::deliver(leaf),
            again: BTreeMap::new(),
            waiting: VecDeque::new(),
            letters: Letters::default(),
            targets: connection.outlets().map(|_| Outgoing::default()).collect(),
            gate: None,
            is_calm: true,
            failing_since: None,
            looked_at: Instant::now(),
            completions: Vec::new(),
            connection,
        }
    }

    pub(crate) fn connection(&self) -> &Arc<CompiledConnection> {
        &self.connection
    }

    pub(crate) fn serves(&self, target: &CompiledTarget) -> bool {
        self.connection.id() == target.connection_id()
    }

    /// Whether everything that it was given has left it.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.again.is_empty()
            && self.letters.is_empty()
            && self.targets.iter().all(|target| target.at_leaf == 0 && target.parking.is_empty())
    }

    /// Whether a signal still waits for room: order forbids the next one to overtake it.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.waiting.is_empty()
            || !self.again.is_empty()
            || !self.is_calm && self.targets.iter().any(|target| target.parking.is_full())
    }

    /// Takes one signal through the prepare stack; its messages then wait for the deliver stack.
    pub(crate) fn prepare<T>(
        &mut self,
        signal: SignalKey,
        selected: Selected,
        settlement: &mut Settlement<T>,
    ) {
        let target = settlement.select(signal, &selected.target);
        let is_due = selected.target.is_journal_due();
        let (routed, place) = (selected.signal.clone(), selected.target.index());
        let prepared = self.prepare.call(selected).into_output();
        let (is_matched, is_mapped) = match &prepared {
            Ok(Prepared::Message(_)) => (true, true),
            Ok(Prepared::Messages(messages)) => (true, messages.iter().any(Result::is_ok)),
            Ok(Prepared::Dropped(reason)) => (*reason == DropReason::Unmapped, false),
            Err(error) => (error.kind() == DeliverErrorKind::Mapping, false),
        };
        if let Some(target) = self.connection.targets().get(place) {
            target.counters().prepare(is_matched, is_mapped);
        }
        let is_wrong = match &prepared {
            Ok(Prepared::Messages(messages)) => messages.iter().any(Result::is_err),
            other => other.is_err(),
        };
        if is_due || is_wrong {
            settlement.watch(signal, target, About::of(routed.signal()));
        }
        match prepared {
            Ok(Prepared::Message(mut mapped)) => {
                mapped.token = settlement.open_record(signal, target);
                mapped.target.counters().make();
                self.waiting.push_back(mapped);
            }
            Ok(Prepared::Messages(messages)) => {
                // All are opened before one of them ends: the target has its outcome when the last one has.
                let opened: Vec<_> = messages
                    .into_iter()
                    .map(|message| (settlement.open_record(signal, target), message))
                    .collect();
                for (token, message) in opened {
                    match message {
                        Ok(mapped) => {
                            mapped.target.counters().make();
                            self.waiting.push_back(Mapped { token, ..mapped });
                        }
                        Err(error) => settlement.complete(token, Err(error)),
                    }
                }
            }
            Ok(Prepared::Dropped(reason)) => settlement.end(signal, target, &Outcome::Dropped(reason)),
            Err(error) => settlement.end(signal, target, &Outcome::Failed(error)),
        }
        self.take_letters(settlement);
    }

    /// Enqueues what waits, as far as there is room and nothing is on hold; stores the waker where there is no room.
    /// Whether anything moved.
    pub(crate) fn deliver<T>(&mut self, cx: &mut Context<'_>, settlement: &mut Settlement<T>) -> bool {
        let mut moved = self.drop_late(settlement);
        if !self.is_calm {
            moved |= self.deliver_parked(cx, settlement);
        }
        loop {
            while self.is_calm && (!self.again.is_empty() || !self.waiting.is_empty()) {
                let Poll::Ready(room) = self.deliver.poll_ready(cx) else { break };
                let Some(next) = self.next() else { break };
                moved = true;
                self.enqueue(next, room, settlement);
            }
            if !self.take_letters(settlement) {
                return moved;
            }
            moved = true;
        }
    }

    fn next(&mut self) -> Option<Parked> {
        let again = self.again.pop_first().map(|(_, parked)| parked);
        again.or_else(|| self.waiting.pop_front().map(Parked::Mapped))
    }

    /// Drops what has come back and that nobody waits for any more. Whether there was any.
    fn drop_late<T>(&mut self, settlement: &mut Settlement<T>) -> bool {
        if self.again.is_empty() {
            return false;
        }
        let (before, now_ms) = (self.again.len(), now_ms());
        self.again.retain(|_, parked| {
            let is_late = settlement.is_expired(parked.token(), now_ms);
            if is_late {
                settlement.drop_record(parked.token(), DropReason::Expired);
            }
            !is_late
        });
        self.again.len() < before
    }

    fn enqueue<T>(&mut self, parked: Parked, room: Result<(), DeliverError>, settlement: &mut Settlement<T>) {
        let token = parked.token();
        let is_alone = matches!(&parked, Parked::Destined(record) if record.is_alone);
        let place = match &parked {
            Parked::Mapped(mapped) => self.place(&mapped.target),
            Parked::Destined(_) => {
                settlement.record(token).map_or(usize::MAX, |(_, target)| self.place(target))
            }
        };
        let mut about = None;
        let enqueued = room.and_then(|()| match parked {
            Parked::Mapped(mapped) => {
                let signal = mapped.signal.get().clone();
                let enqueued = self.deliver.call(mapped).into_output();
                about = enqueued.is_err().then(|| About::of(signal.signal()));
                enqueued
            }
            Parked::Destined(record) => self.deliver.inner_mut().inner_mut().call(*record).into_output(),
        });
        match enqueued {
            Ok(Enqueued::Queued(written)) => {
                if let Some(target) = self.targets.get_mut(place) {
                    target.at_leaf += 1;
                    if is_alone {
                        target.alone.push(token);
                    }
                }
                settlement.enqueued(token, written);
            }
            Ok(Enqueued::Refused(undelivered)) => self.undelivered(token, place, undelivered, settlement),
            Ok(Enqueued::Dropped(reason)) => {
                self.passed_over(token, place);
                settlement.drop_record(token, reason);
            }
            Err(error) => {
                self.passed_over(token, place);
                if let Some(about) = about {
                    settlement.watch_record(token, about);
                }
                settlement.complete(token, Err(error));
            }
        }
    }

    /// Settles what has completed; otherwise stores the waker. Whether there was anything.
    pub(crate) fn take_completions<T>(
        &mut self,
        cx: &mut Context<'_>,
        settlement: &mut Settlement<T>,
    ) -> bool {
        if self.deliver.poll_completions(cx, &mut self.completions).is_pending() {
            return false;
        }
        let mut completions = std::mem::take(&mut self.completions);
        for Completion { token, result } in completions.drain(..) {
            let Some((_, target)) = settlement.record(token) else { continue };
            let place = self.place(target);
            self.left_leaf(token, place);
            match result {
                Ok(delivered) => {
                    self.delivered(token, place);
                    settlement.complete(token, Ok(delivered));
                }
                Err(undelivered) => self.undelivered(token, place, undelivered, settlement),
            }
        }
        self.completions = completions;
        self.take_letters(settlement);
        true
    }

    fn left_leaf(&mut self, token: Token, place: usize) {
        if let Some(target) = self.targets.get_mut(place) {
            target.at_leaf = target.at_leaf.saturating_sub(1);
            if !target.alone.is_empty() {
                target.alone.retain(|alone| *alone != token);
            }
        }
    }

    /// The place of a target in the definition: its own, or that of the same address if it is of an earlier definition.
    fn place(&self, target: &CompiledTarget) -> usize {
        if target.letter_topic().is_some() {
            // By whatever topic: each has one of them at most.
            return self.connection.dead_letters().map_or(usize::MAX, |own| own.index());
        }
        let own = self.connection.targets().get(target.index());
        if own.is_some_and(|own| std::ptr::eq(&**own, target)) {
            target.index()
        } else {
            self.place_of_address(target).unwrap_or(usize::MAX)
        }
    }

    fn place_of_address(&self, target: &CompiledTarget) -> Option<usize> {
        self.connection.targets().iter().position(|own| own.address_text() == target.address_text())
    }

    fn at_leaf(&self, scope: Scope) -> usize {
        match scope {
            Scope::Connection => self.targets.iter().map(|target| target.at_leaf).sum(),
            Scope::Target(place) => self.targets.get(place).map_or(0, |target| target.at_leaf),
        }
    }
}

#[cfg(test)]
mod tests;
