//! What is on hold, and what goes on.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use tower::Service;
use tracing::{info, warn};

use super::Driver;
use crate::hold::{Gate, Held, OnHold, Parked, Parking, Settling};
use crate::leaf::{Completing, Destined, Leaf, Token, Undelivered};
use crate::outcome::{DeliverError, DropReason};
use crate::settle::Settlement;
use crate::signal::now_ms;
use crate::target::CompiledTarget;

/// What is on its way to one target.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Records that the leaf has.
    pub(super) at_leaf: usize,
    /// Those of them that were sent alone.
    pub(super) alone: Vec<Token>,
    /// Up to this place, what was in a batch that was too large is sent alone.
    pub(super) alone_to: Option<u64>,
    pub(super) parking: Parking,
    /// Set while the target is on hold.
    pub(super) gate: Option<Gate>,
}

impl Outgoing {
    fn is_calm(&self) -> bool {
        self.gate.is_none() && self.alone_to.is_none() && self.parking.is_empty()
    }

    fn may_send_alone(&self) -> bool {
        self.has_alone() && self.at_leaf == self.alone.len() && self.alone.len() < MAX_ALONE
    }

    /// Parks a record that has to be sent alone.
    fn park_alone(&mut self, order: u64, mut record: Box<Destined>) {
        record.is_alone = true;
        self.alone_to = self.alone_to.max(Some(order));
        self.parking.park(order, Parked::Destined(record));
    }

    /// Whether the next one that waits has to be sent alone.
    fn has_alone(&self) -> bool {
        self.parking.first_order().is_some_and(|next| self.alone_to.is_some_and(|last| next <= last))
    }
}

/// What a gate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Connection,
    /// By its place in the definition.
    Target(usize),
}

/// Records that are sent alone, at a time: they may be large, and need room beside the others.
const MAX_ALONE: usize = 16;
/// How long a producer that keeps failing is given new records of a feed that cannot wait.
const PATIENCE: Duration = Duration::from_secs(10);

impl<L: Leaf> Driver<L> {
    /// A record was delivered: what waited for it may go on.
    pub(super) fn delivered(&mut self, token: Token, place: usize) {
        if self.failing_since.take().is_some() && self.gate.is_none() {
            self.connection.set_held(None);
        }
        if self.is_calm {
            return;
        }
        self.open_tried(token, place);
        let now = Instant::now();
        // Others get through: the next try need not wait.
        for scope in [Scope::Connection, Scope::Target(place)] {
            if let Some(gate) = self.gate_mut(scope) {
                gate.hurry(now);
            }
        }
    }

    /// Ends the holds that a record was tried for.
    fn open_tried(&mut self, token: Token, place: usize) {
        let (of_connection, of_target) = self.take_probes(token, place);
        if of_connection {
            self.open(Scope::Connection);
        }
        if of_target {
            self.open(Scope::Target(place));
        }
    }

    /// A record ended before the leaf or by its own fault: of what it was tried for nothing is known.
    pub(super) fn passed_over(&mut self, token: Token, place: usize) {
        let now = Instant::now();
        for scope in [Scope::Connection, Scope::Target(place)] {
            if let Some(gate) = self.gate_mut(scope)
                && gate.take_probe(token)
            {
                gate.hurry(now);
            }
        }
    }

    /// A record was not published: it is settled, or it waits.
    pub(super) fn undelivered<T>(
        &mut self,
        token: Token,
        place: usize,
        undelivered: Undelivered,
        settlement: &mut Settlement<T>,
    ) {
        let Undelivered { error, record } = undelivered;
        let Some((order, target)) = settlement.record(token) else { return };
        let settling = Settling::of(error.kind(), target.fixed_topic().is_some(), self.can_replay);
        let Some(record) = record.filter(|_| settling != Settling::Final) else {
            self.passed_over(token, place);
            return settlement.complete(token, Err(error));
        };
        match settling {
            Settling::Again => {
                self.passed_over(token, place);
                let is_over = self.producer_fails(&error);
                if !is_over && record.is_alone {
                    if let Some(target) = self.targets.get_mut(place) {
                        target.park_alone(order, record);
                    }
                    self.is_calm = false;
                } else if !is_over {
                    self.again.insert(order, Parked::Destined(record));
                } else if self.drops_on_hold() {
                    settlement.drop_record(token, DropReason::OnHold);
                } else {
                    settlement.complete(token, Err(error));
                }
            }
            Settling::Alone | Settling::Final => {
                // The cluster has looked at it: so nothing else is wrong.
                self.open_tried(token, place);
                let is_first = self.targets.get(place).is_some_and(|target| target.alone_to.is_none());
                if is_first {
                    let (connection, address) = (self.connection.id(), self.address(Scope::Target(place)));
                    let remedy = error.kind().remedy();
                    warn!(connection, address, %error, remedy, "a batch is sent record by record");
                }
                match self.targets.get_mut(place) {
                    Some(target) => target.park_alone(order, record),
                    None => settlement.drop_record(token, DropReason::Closed),
                }
                self.is_calm = false;
            }
            Settling::HoldTarget | Settling::HoldConnection => {
                let (of_connection, of_target) = self.take_probes(token, place);
                let scope = if settling == Settling::HoldTarget {
                    if of_connection {
                        // Whoever says something of a topic is there.
                        self.open(Scope::Connection);
                    }
                    Scope::Target(place)
                } else {
                    if let Some(gate) = self.gate_mut(Scope::Target(place)).filter(|_| of_target) {
                        gate.hurry(Instant::now());
                    }
                    Scope::Connection
                };
                self.shut(scope, of_connection || of_target, error);
                if self.drops_on_hold() {
                    settlement.drop_record(token, DropReason::OnHold);
                } else if let Some(target) = self.targets.get_mut(place) {
                    target.parking.park(order, Parked::Destined(record));
                } else {
                    // Of a target that the definition no longer has.
                    settlement.drop_record(token, DropReason::Closed);
                }
            }
        }
    }

    /// The producer has failed. Whether it has done nothing else for so long that a feed which cannot wait goes on.
    fn producer_fails(&mut self, error: &DeliverError) -> bool {
        let now = Instant::now();
        let since = *self.failing_since.get_or_insert(now);
        let held = self.connection.held().map_or_else(SystemTime::now, |held| held.since);
        self.connection.set_held(Some(Held { since: held, error: error.clone() }));
        let waits = self.can_replay && !self.drops_on_hold();
        !waits && now.duration_since(since) > PATIENCE
    }

    /// Puts something on hold, or puts its next try off.
    fn shut(&mut self, scope: Scope, was_probe: bool, error: DeliverError) {
        let now = Instant::now();
        self.is_calm = false;
        match self.gate_mut(scope) {
            Some(gate) if was_probe => gate.put_off(now),
            Some(_) => {}
            None => {
                let (connection, address) = (self.connection.id(), self.address(scope));
                let remedy = error.kind().remedy();
                let signals = if self.drops_on_hold() { "are dropped" } else { "wait" };
                warn!(connection, address, %error, remedy, signals, "on hold");
                match scope {
                    Scope::Connection => self.gate = Some(Gate::new(now)),
                    Scope::Target(place) => {
                        if let Some(target) = self.targets.get_mut(place) {
                            target.gate = Some(Gate::new(now));
                        }
                    }
                }
            }
        }
        let since = self.held(scope).map_or_else(SystemTime::now, |held| held.since);
        self.set_held(scope, Some(Held { since, error }));
    }

    /// Ends a hold.
    pub(super) fn open(&mut self, scope: Scope) {
        let gate = match scope {
            Scope::Connection => self.gate.take(),
            Scope::Target(place) => self.targets.get_mut(place).and_then(|target| target.gate.take()),
        };
        if gate.is_some() {
            let since = self.held(scope).map_or_else(SystemTime::now, |held| held.since);
            let (connection, address) = (self.connection.id(), self.address(scope));
            info!(connection, address, after = ?since.elapsed().unwrap_or_default(), "no longer on hold");
            self.set_held(scope, None);
        }
    }

    /// Whether a record is being tried for the connection, and for its target; from now on it is not.
    fn take_probes(&mut self, token: Token, place: usize) -> (bool, bool) {
        let mut take = |scope| self.gate_mut(scope).is_some_and(|gate| gate.take_probe(token));
        (take(Scope::Connection), take(Scope::Target(place)))
    }

    /// Tries what is due, releases what may go, and takes what waits to where it has to wait, or to the leaf.
    pub(super) fn deliver_parked<T>(&mut self, cx: &mut Context<'_>, settlement: &mut Settlement<T>) -> bool {
        self.looked_at = Instant::now();
        let mut moved = false;
        if self.gate.is_some() {
            moved |= self.try_connection(cx, settlement);
        } else {
            for place in 0..self.targets.len() {
                moved |= self.try_target(place, cx, settlement);
            }
        }
        moved |= self.sort(cx, settlement);
        self.is_calm = self.gate.is_none() && self.targets.iter().all(Outgoing::is_calm);
        moved
    }

    /// The connection is on hold: its oldest record is tried if it is time and the leaf has none.
    fn try_connection<T>(&mut self, cx: &mut Context<'_>, settlement: &mut Settlement<T>) -> bool {
        let is_due = self.gate.as_ref().is_some_and(|gate| gate.is_due(self.looked_at));
        if !is_due || self.at_leaf(Scope::Connection) > 0 {
            return false;
        }
        // Of a target that is not on hold itself, if there is one: its own trouble would say nothing of the connection.
        let oldest = |is_held: bool| {
            let places = self.targets.iter().enumerate();
            let parked = places.filter(|(_, target)| target.gate.is_some() == is_held);
            parked.filter_map(|(place, target)| Some((target.parking.first_order()?, place))).min()
        };
        let Some((_, place)) = oldest(false).or_else(|| oldest(true)) else { return false };
        self.try_first(place, &[Scope::Connection, Scope::Target(place)], cx, settlement)
    }

    fn try_target<T>(&mut self, place: usize, cx: &mut Context<'_>, settlement: &mut Settlement<T>) -> bool {
        let drops = self.drops_on_hold();
        let Some(target) = self.targets.get_mut(place) else { return false };
        if target.alone_to.is_some() && target.alone.is_empty() && !target.has_alone() {
            target.alone_to = None;
        }
        if target.parking.is_empty() {
            return false;
        }
        if target.gate.is_some() {
            if drops && !target.has_alone() {
                // It was parked behind what had to be sent alone.
                target.parking.take_all().into_values().for_each(|parked| {
                    settlement.drop_record(parked.token(), DropReason::OnHold);
                });
                return true;
            }
            let is_due = target.gate.as_ref().is_some_and(|gate| gate.is_due(self.looked_at));
            return is_due
                && target.at_leaf == 0
                && self.try_first(place, &[Scope::Target(place)], cx, settlement);
        }
        if target.alone_to.is_none() {
            let released = target.parking.take_all();
            self.again.extend(released);
            return true;
        }
        let mut moved = false;
        // What the leaf has of the target beside those came before them.
        while self.targets.get(place).is_some_and(Outgoing::may_send_alone) {
            let Poll::Ready(room) = self.deliver.poll_ready(cx) else { break };
            let Some(next) = self.targets.get_mut(place).and_then(|target| target.parking.take_first())
            else {
                break;
            };
            moved = true;
            self.enqueue(next, room, settlement);
        }
        moved
    }

    /// Tries the first record that is parked for a target and that somebody still waits for.
    fn try_first<T>(
        &mut self,
        place: usize,
        scopes: &[Scope],
        cx: &mut Context<'_>,
        settlement: &mut Settlement<T>,
    ) -> bool {
        let Poll::Ready(room) = self.deliver.poll_ready(cx) else { return false };
        while let Some(first) = self.targets.get_mut(place).and_then(|target| target.parking.take_first()) {
            let token = first.token();
            if settlement.is_expired(token, now_ms()) {
                settlement.drop_record(token, DropReason::Expired);
                continue;
            }
            for scope in scopes {
                if let Some(gate) = self.gate_mut(*scope) {
                    gate.probing(token);
                }
            }
            self.enqueue(first, room, settlement);
            break;
        }
        true
    }

    /// Takes what has come back or waits to its target's parking if that is not free, else to the leaf.
    fn sort<T>(&mut self, cx: &mut Context<'_>, settlement: &mut Settlement<T>) -> bool {
        let mut moved = false;
        while let Some((token, target)) = self.peek(settlement) {
            let place = self.place(target);
            let is_first_try = self.again.is_empty();
            if !is_first_try && settlement.is_expired(token, now_ms()) {
                drop(self.next());
                settlement.drop_record(token, DropReason::Expired);
                moved = true;
                continue;
            }
            let (is_shut, is_free) = match self.targets.get(place) {
                Some(target) => (self.gate.is_some() || target.gate.is_some(), target.is_calm()),
                None => (self.gate.is_some(), true),
            };
            if self.gate.is_none() && is_free {
                let Poll::Ready(room) = self.deliver.poll_ready(cx) else { break };
                let Some(next) = self.next() else { break };
                moved = true;
                self.enqueue(next, room, settlement);
                continue;
            }
            let is_parking = self.targets.get(place).is_some_and(|target| target.alone_to.is_some());
            if self.drops_on_hold() && is_shut && !is_parking {
                // Nothing is parked that could be tried: this one is, if it is time.
                if !self.try_next(token, place, cx, settlement) {
                    drop(self.next());
                    settlement.drop_record(token, DropReason::OnHold);
                }
            } else if self.gate.is_some() && is_first_try {
                // It waits where it is, and so does the feed; but somebody has to be tried.
                let has_parked = self.targets.iter().any(|target| !target.parking.is_empty());
                let is_next = !has_parked && self.at_leaf(Scope::Connection) == 0;
                if !is_next || !self.try_next(token, place, cx, settlement) {
                    break;
                }
            } else if let Some(next) = self.next()
                && let Some((order, _)) = settlement.record(token)
            {
                match self.targets.get_mut(place) {
                    Some(target) => target.parking.park(order, next),
                    None => settlement.drop_record(token, DropReason::Closed),
                }
            }
            moved = true;
        }
        moved
    }

    /// Tries the next one that waits, if it is time.
    fn try_next<T>(
        &mut self,
        token: Token,
        place: usize,
        cx: &mut Context<'_>,
        settlement: &mut Settlement<T>,
    ) -> bool {
        let scopes = [Scope::Connection, Scope::Target(place)];
        let now = self.looked_at;
        let is_due = scopes.iter().all(|scope| self.gate_mut(*scope).is_none_or(|gate| gate.is_due(now)));
        if !is_due {
            return false;
        }
        let Poll::Ready(room) = self.deliver.poll_ready(cx) else { return false };
        let Some(next) = self.next() else { return false };
        for scope in scopes {
            if let Some(gate) = self.gate_mut(scope) {
                gate.probing(token);
            }
        }
        self.enqueue(next, room, settlement);
        true
    }

    /// When something is to be tried next.
    pub(crate) fn next_try(&self) -> Option<Instant> {
        if self.is_calm {
            return None;
        }
        let due = |gate: &Option<Gate>| gate.as_ref().and_then(Gate::due_at);
        let next = if self.gate.is_some() {
            let has_parked = self.targets.iter().any(|target| !target.parking.is_empty());
            let has_next = has_parked || !self.waiting.is_empty() && !self.drops_on_hold();
            due(&self.gate).filter(|_| has_next && self.at_leaf(Scope::Connection) == 0)
        } else {
            let waiting =
                self.targets.iter().filter(|target| target.at_leaf == 0 && !target.parking.is_empty());
            waiting.filter_map(|target| due(&target.gate)).min()
        };
        next.filter(|due| *due > self.looked_at)
    }

    /// What ails the way to a target: the answer to requesters that wait no longer.
    pub(crate) fn trouble(&self, target: &CompiledTarget) -> Option<DeliverError> {
        let held = self.held(Scope::Connection).or_else(|| self.held(Scope::Target(self.place(target))));
        held.map(|held| held.error).or_else(|| self.deliver.trouble())
    }

    pub(super) fn drops_on_hold(&self) -> bool {
        self.connection.on_hold() == OnHold::Drop
    }

    fn gate_mut(&mut self, scope: Scope) -> Option<&mut Gate> {
        match scope {
            Scope::Connection => self.gate.as_mut(),
            Scope::Target(place) => self.targets.get_mut(place)?.gate.as_mut(),
        }
    }

    fn peek<'s, T>(&self, settlement: &'s Settlement<T>) -> Option<(Token, &'s Arc<CompiledTarget>)> {
        let again = self.again.first_key_value().map(|(_, parked)| parked.token());
        let token = again.or_else(|| self.waiting.front().map(|mapped| mapped.token))?;
        settlement.record(token).map(|(_, target)| (token, target))
    }

    fn address(&self, scope: Scope) -> Option<&str> {
        match scope {
            Scope::Connection => None,
            Scope::Target(place) => self.outlet(place).map(|target| target.address_text()),
        }
    }

    fn outlet(&self, place: usize) -> Option<&Arc<CompiledTarget>> {
        self.connection.outlets().nth(place)
    }

    fn held(&self, scope: Scope) -> Option<Held> {
        match scope {
            Scope::Connection => self.connection.held(),
            Scope::Target(place) => self.outlet(place).and_then(|target| target.held()),
        }
    }

    fn set_held(&self, scope: Scope, held: Option<Held>) {
        match scope {
            Scope::Connection => self.connection.set_held(held),
            Scope::Target(place) => {
                if let Some(target) = self.outlet(place) {
                    target.set_held(held);
                }
            }
        }
    }
}
