//! One connection of a lane: its stacks, and what waits between them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime};

use tower::{Service, ServiceBuilder};
use tracing::{info, warn};

use crate::address::ResolveAddress;
use crate::authorize::Authorize;
use crate::headers::MapHeaders;
use crate::hold::{Held, Hold, OnHold, Parked, Settling};
use crate::leaf::{Completing, Completion, Enqueued, Leaf, Token, Undelivered};
use crate::map::{MapSignal, Mapped, Prepared};
use crate::outcome::{DeliverError, DropReason, Outcome};
use crate::settle::{Settlement, SignalKey};
use crate::signal::{Selected, now_ms};
use crate::stage::{Immediate, StageLayer, Staged};
use crate::target::{CompiledConnection, CompiledTarget};

/// The stacks of one connection and what waits between them.
pub(crate) struct Driver<L> {
    connection: Arc<CompiledConnection>,
    /// Whether an error that somebody can mend is waited out.
    can_replay: bool,
    prepare: Staged<Authorize, MapSignal>,
    deliver: Staged<MapHeaders, Staged<ResolveAddress, L>>,
    /// Given back by the leaf; goes before everything that waits.
    again: BTreeMap<u64, Parked>,
    /// Mapped messages in feed order; never more than those of one signal.
    waiting: VecDeque<Mapped>,
    /// Records of each target that the leaf has.
    at_leaf: Box<[usize]>,
    /// What is on hold: almost always nothing.
    holds: Vec<(Scope, Hold)>,
    /// When it was last looked whether a hold is due: one that was due then waits for the leaf, which wakes the lane.
    looked_at: Instant,
    /// Reused for each batch of completions.
    completions: Vec<Completion>,
}

/// What a hold holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Connection,
    /// By its place in the definition.
    Target(usize),
}

impl<L: Leaf> Driver<L> {
    pub(crate) fn new(connection: Arc<CompiledConnection>, leaf: L, can_replay: bool) -> Self {
        Self {
            can_replay,
            prepare: ServiceBuilder::new().layer(StageLayer::new(Authorize)).service(MapSignal::default()),
            deliver: ServiceBuilder::new()
                .layer(StageLayer::new(MapHeaders))
                .layer(StageLayer::new(ResolveAddress))
                .service(leaf),
            again: BTreeMap::new(),
            waiting: VecDeque::new(),
            at_leaf: vec![0; connection.targets().len()].into(),
            holds: Vec::new(),
            looked_at: Instant::now(),
            completions: Vec::new(),
            connection,
        }
    }

    pub(crate) fn connection(&self) -> &Arc<CompiledConnection> {
        &self.connection
    }

    /// Whether everything that it was given has left it.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.again.is_empty()
            && self.holds.is_empty()
            && self.at_leaf(Scope::Connection) == 0
    }

    /// Nobody waits any longer: the leaf gives back what it can, and what has not reached it goes to `heir`, or is dropped
    /// if that has no target with the same address.
    pub(crate) fn give_up<T>(&mut self, mut heir: Option<&mut Self>, settlement: &mut Settlement<T>) {
        self.deliver.take_back();
        let mut left: Vec<Parked> = self.waiting.drain(..).map(Parked::Mapped).collect();
        left.extend(std::mem::take(&mut self.again).into_values());
        for (scope, hold) in std::mem::take(&mut self.holds) {
            self.set_held(scope, None);
            left.extend(hold.into_parked().into_values());
        }
        for parked in left {
            leave(parked, heir.as_deref_mut(), settlement);
        }
    }

    /// Settles what has completed after [`Self::give_up`]; what was not published goes the same way.
    pub(crate) fn take_last<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut heir: Option<&mut Self>,
        settlement: &mut Settlement<T>,
    ) -> bool {
        if self.deliver.poll_completions(cx, &mut self.completions).is_pending() {
            return false;
        }
        for Completion { token, result } in std::mem::take(&mut self.completions) {
            let Some((_, target)) = settlement.record(token) else { continue };
            if let Some(at_leaf) = self.at_leaf.get_mut(self.place(target)) {
                *at_leaf = at_leaf.saturating_sub(1);
            }
            match result {
                Ok(delivered) => settlement.complete(token, Ok(delivered)),
                Err(Undelivered { record: Some(record), .. }) => {
                    leave(Parked::Destined(record), heir.as_deref_mut(), settlement);
                }
                Err(Undelivered { error, record: None }) => settlement.complete(token, Err(error)),
            }
        }
        true
    }

    /// The place of a target in the definition: its own, or that of the same address if it is of an earlier definition.
    fn place(&self, target: &CompiledTarget) -> usize {
        let is_own = self.target(target.index()).is_some_and(|own| std::ptr::eq(&**own, target));
        if is_own { target.index() } else { self.place_of_address(target).unwrap_or(usize::MAX) }
    }

    fn place_of_address(&self, target: &CompiledTarget) -> Option<usize> {
        self.connection.targets().iter().position(|own| own.address_text() == target.address_text())
    }

    /// Whether a signal still waits for room: order forbids the next one to overtake it.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.waiting.is_empty()
            || !self.again.is_empty()
            || self.holds.iter().any(|(_, hold)| hold.is_full())
    }

    /// Takes one signal through the prepare stack; its messages then wait for the deliver stack.
    pub(crate) fn prepare<T>(
        &mut self,
        signal: SignalKey,
        selected: Selected,
        settlement: &mut Settlement<T>,
    ) {
        let target = settlement.select(signal, &selected.target);
        match self.prepare.call(selected).into_output() {
            Ok(Prepared::Message(mut mapped)) => {
                mapped.token = settlement.open_record(signal, target);
                self.waiting.push_back(mapped);
            }
            Ok(Prepared::Dropped(reason)) => settlement.end(signal, target, &Outcome::Dropped(reason)),
            Err(error) => settlement.end(signal, target, &Outcome::Failed(error)),
        }
    }

    /// Enqueues what waits, as far as there is room and nothing is on hold; stores the waker where there is no room.
    /// Whether anything moved.
    pub(crate) fn deliver<T>(&mut self, cx: &mut Context<'_>, settlement: &mut Settlement<T>) -> bool {
        if !self.holds.is_empty() {
            return self.deliver_around_holds(cx, settlement);
        }
        let mut moved = self.drop_late(settlement);
        while self.holds.is_empty() && (!self.again.is_empty() || !self.waiting.is_empty()) {
            match self.deliver.poll_ready(cx) {
                Poll::Pending => break,
                Poll::Ready(room) => {
                    let Some(next) = self.next() else { break };
                    moved = true;
                    self.enqueue(next, room, settlement);
                }
            }
        }
        moved
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
        let index = match &parked {
            Parked::Mapped(mapped) => self.place(&mapped.target),
            Parked::Destined(_) => {
                settlement.record(token).map_or(usize::MAX, |(_, target)| self.place(target))
            }
        };
        let enqueued = room.and_then(|()| match parked {
            Parked::Mapped(mapped) => self.deliver.call(mapped).into_output(),
            Parked::Destined(record) => self.deliver.inner_mut().inner_mut().call(*record).into_output(),
        });
        match enqueued {
            Ok(Enqueued::Queued(written)) => {
                if let Some(at_leaf) = self.at_leaf.get_mut(index) {
                    *at_leaf += 1;
                }
                settlement.enqueued(token, written);
            }
            Ok(Enqueued::Refused(undelivered)) => self.undelivered(token, undelivered, settlement),
            Ok(Enqueued::Dropped(reason)) => {
                self.tried(token, None);
                settlement.drop_record(token, reason);
            }
            Err(error) => {
                self.tried(token, None);
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
            let index = self.place(target);
            if let Some(at_leaf) = self.at_leaf.get_mut(index) {
                *at_leaf = at_leaf.saturating_sub(1);
            }
            match result {
                Ok(delivered) => {
                    if !self.holds.is_empty() {
                        self.tried(token, Some(index));
                    }
                    settlement.complete(token, Ok(delivered));
                }
                Err(undelivered) => self.undelivered(token, undelivered, settlement),
            }
        }
        self.completions = completions;
        true
    }

    /// A record was not published: it is settled, or it waits.
    fn undelivered<T>(&mut self, token: Token, undelivered: Undelivered, settlement: &mut Settlement<T>) {
        let Undelivered { error, record } = undelivered;
        let Some((order, target)) = settlement.record(token) else { return };
        let settling = Settling::of(error.kind(), target.fixed_topic().is_some(), self.can_replay);
        let scope = match settling {
            Settling::HoldTarget => Scope::Target(self.place(target)),
            Settling::Alone => {
                let scope = Scope::Target(self.place(target));
                return match record {
                    Some(record) if !self.was_alone(scope, token) => {
                        let hold = self.hold(scope, token, error);
                        if let Some(hold) = hold {
                            hold.park(order, Parked::Destined(record));
                            hold.alone(order, Instant::now());
                        }
                    }
                    _ => {
                        self.tried(token, None);
                        settlement.complete(token, Err(error.of_record()));
                    }
                };
            }
            Settling::HoldConnection => Scope::Connection,
            Settling::Again | Settling::Final => {
                self.tried(token, None);
                match record {
                    Some(record) if settling == Settling::Again => {
                        self.again.insert(order, Parked::Destined(record));
                    }
                    _ => settlement.complete(token, Err(error)),
                }
                return;
            }
        };
        let Some(record) = record else { return settlement.complete(token, Err(error)) };
        let drops = self.drops_on_hold();
        let hold = self.hold(scope, token, error);
        if drops {
            settlement.drop_record(token, DropReason::OnHold);
        } else if let Some(hold) = hold {
            hold.park(order, Parked::Destined(record));
        }
    }

    /// Puts something on hold, or lets its hold know that a record has failed.
    fn hold(&mut self, scope: Scope, token: Token, error: DeliverError) -> Option<&mut Hold> {
        let now = Instant::now();
        let known = self.holds.iter().position(|(it, _)| *it == scope);
        if known.is_none() {
            let (connection, address, remedy) =
                (self.connection.id(), self.address(scope), error.kind().remedy());
            let signals = if self.drops_on_hold() { "are dropped" } else { "wait" };
            warn!(connection, address, %error, remedy, signals, "on hold");
            self.holds.push((scope, Hold::new(now)));
        }
        let since = self.held(scope).map_or_else(SystemTime::now, |held| held.since);
        self.set_held(scope, Some(Held { since, error }));
        let at = known.unwrap_or(self.holds.len() - 1);
        let (_, hold) = self.holds.get_mut(at)?;
        if hold.take_probe(token) {
            hold.put_off(now);
        }
        Some(hold)
    }

    /// Whether a record that the leaf has is the only one of its target there.
    fn was_alone(&self, scope: Scope, token: Token) -> bool {
        self.holds.iter().any(|(it, hold)| *it == scope && hold.is_trying(token))
    }

    fn drops_on_hold(&self) -> bool {
        self.connection.on_hold() == OnHold::Drop
    }

    /// A record has left the leaf other than by an error that holds. If it was the one that a hold tried, and it was
    /// delivered to the target of that index, the hold is over.
    fn tried(&mut self, token: Token, delivered: Option<usize>) {
        let now = Instant::now();
        let mut at = 0;
        while let Some((scope, hold)) = self.holds.get_mut(at) {
            let is_of_scope = delivered.is_some_and(|index| match scope {
                Scope::Connection => true,
                Scope::Target(held) => *held == index,
            });
            let is_probe = hold.take_probe(token);
            if is_probe && !hold.has_alone() && (is_of_scope || hold.is_of_batch()) {
                self.release(at);
                continue;
            }
            if is_probe || is_of_scope {
                // Others get through, or the record was at fault itself.
                hold.hurry(now);
            }
            at += 1;
        }
    }

    fn release(&mut self, at: usize) {
        let (scope, hold) = self.holds.swap_remove(at);
        let since = self.held(scope).map_or_else(SystemTime::now, |held| held.since);
        let (connection, address) = (self.connection.id(), self.address(scope));
        info!(connection, address, after = ?since.elapsed().unwrap_or_default(), "no longer on hold");
        self.set_held(scope, None);
        self.again.append(&mut hold.into_parked());
    }

    /// Tries what is due of each hold, and takes what waits to its holds, or to the leaf if nothing holds it.
    fn deliver_around_holds<T>(&mut self, cx: &mut Context<'_>, settlement: &mut Settlement<T>) -> bool {
        let now = Instant::now();
        self.looked_at = now;
        let mut moved = self.drop_late(settlement);
        let mut at = 0;
        while at < self.holds.len() {
            moved |= self.try_hold(at, now, cx, settlement);
            at += 1;
        }
        while let Some((token, target)) = self.peek(settlement) {
            let index = self.place(target);
            let holding = self.holds.iter().position(|(scope, _)| match scope {
                Scope::Connection => true,
                Scope::Target(held) => *held == index,
            });
            let Some(at) = holding else {
                let Poll::Ready(room) = self.deliver.poll_ready(cx) else { break };
                let Some(next) = self.next() else { break };
                moved = true;
                self.enqueue(next, room, settlement);
                continue;
            };
            let drops = self.drops_on_hold();
            let Some((scope, hold)) = self.holds.get_mut(at) else { break };
            let drops = drops && !hold.has_alone();
            if drops && hold.is_due(now) {
                // Nothing is parked that could be tried: this one is.
                let Poll::Ready(room) = self.deliver.poll_ready(cx) else { break };
                hold.probing(token);
                let Some(next) = self.next() else { break };
                self.enqueue(next, room, settlement);
            } else if drops {
                drop(self.next());
                settlement.drop_record(token, DropReason::OnHold);
            } else if *scope == Scope::Connection {
                // It waits where it is, and so does the feed.
                break;
            } else if let Some(next) = self.next()
                && let Some((order, _)) = settlement.record(token)
                && let Some((_, hold)) = self.holds.get_mut(at)
            {
                hold.park(order, next);
            }
            moved = true;
        }
        moved
    }

    /// Tries the first record of a hold if it is time, and none of what it holds is at the leaf: that comes first.
    fn try_hold<T>(
        &mut self,
        at: usize,
        now: Instant,
        cx: &mut Context<'_>,
        settlement: &mut Settlement<T>,
    ) -> bool {
        let Some((scope, hold)) = self.holds.get(at) else { return false };
        if !hold.is_due(now) || self.at_leaf(*scope) > 0 || self.drops_on_hold() && !hold.has_alone() {
            return false;
        }
        let Poll::Ready(room) = self.deliver.poll_ready(cx) else { return false };
        let mut moved = false;
        while let Some((_, hold)) = self.holds.get_mut(at) {
            moved = true;
            let Some(first) = hold.take_first() else {
                self.release(at);
                break;
            };
            let token = first.token();
            if settlement.is_expired(token, now_ms()) {
                settlement.drop_record(token, DropReason::Expired);
                continue;
            }
            hold.probing(token);
            self.enqueue(first, room, settlement);
            break;
        }
        moved
    }

    /// When something is to be tried next.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        let drops = self.drops_on_hold();
        let is_tried = |scope, hold: &Hold| (!drops || hold.has_alone()) && self.at_leaf(scope) == 0;
        let due = self.holds.iter().filter(|(scope, hold)| is_tried(*scope, hold));
        due.filter_map(|(_, hold)| hold.due_at()).filter(|due| *due > self.looked_at).min()
    }

    /// What ails the connection: the answer to requesters that wait no longer.
    pub(crate) fn trouble(&self) -> Option<DeliverError> {
        let held = self.holds.first().and_then(|(scope, _)| self.held(*scope));
        held.map(|held| held.error).or_else(|| self.deliver.trouble())
    }

    fn peek<'s, T>(&self, settlement: &'s Settlement<T>) -> Option<(Token, &'s Arc<CompiledTarget>)> {
        let again = self.again.first_key_value().map(|(_, parked)| parked.token());
        let token = again.or_else(|| self.waiting.front().map(|mapped| mapped.token))?;
        settlement.record(token).map(|(_, target)| (token, target))
    }

    fn at_leaf(&self, scope: Scope) -> usize {
        match scope {
            Scope::Connection => self.at_leaf.iter().sum(),
            Scope::Target(index) => self.at_leaf.get(index).copied().unwrap_or_default(),
        }
    }

    fn target(&self, index: usize) -> Option<&Arc<CompiledTarget>> {
        self.connection.targets().get(index)
    }

    fn address(&self, scope: Scope) -> Option<&str> {
        match scope {
            Scope::Connection => None,
            Scope::Target(index) => self.target(index).map(|target| target.address_text()),
        }
    }

    fn held(&self, scope: Scope) -> Option<Held> {
        match scope {
            Scope::Connection => self.connection.held(),
            Scope::Target(index) => self.target(index).and_then(|target| target.held()),
        }
    }

    fn set_held(&self, scope: Scope, held: Option<Held>) {
        match scope {
            Scope::Connection => self.connection.set_held(held),
            Scope::Target(index) => {
                if let Some(target) = self.target(index) {
                    target.set_held(held);
                }
            }
        }
    }
}

/// Hands a record on to the driver that comes after, or drops it.
fn leave<L: Leaf, T>(parked: Parked, heir: Option<&mut Driver<L>>, settlement: &mut Settlement<T>) {
    let token = parked.token();
    let Some((order, target)) = settlement.record(token) else { return };
    match heir {
        Some(heir) if heir.place_of_address(target).is_some() => {
            heir.again.insert(order, parked);
        }
        _ => settlement.drop_record(token, DropReason::Closed),
    }
}

#[cfg(test)]
mod tests;
