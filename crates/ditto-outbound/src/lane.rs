//! The loop that drives signals from a feed through the stacks and settles them.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tower::{Service, ServiceBuilder};
use tracing::warn;

use crate::acknowledge::AcknowledgementSink;
use crate::address::ResolveAddress;
use crate::authorize::Authorize;
use crate::counters::LaneCounters;
use crate::feed::{Feed, FeedRecord};
use crate::headers::MapHeaders;
use crate::intake::Intake;
use crate::leaf::{Completing, Completion, Enqueued, Leaf};
use crate::map::{MapSignal, Mapped, Prepared};
use crate::outcome::Outcome;
use crate::router::{Router, TargetRef};
use crate::settle::{Settlement, SignalKey};
use crate::signal::Selected;
use crate::stage::{Immediate, StageLayer, Staged};
use crate::target::CompiledConnection;

/// One position in a feed and the connections that it serves.
///
/// The loop takes completions whenever it waits for room, since room comes back with completions. Records of one
/// connection are enqueued in the order in which the feed has their signals.
pub struct Lane<F: Feed, L> {
    feed: F,
    intake: Intake,
    router: Router,
    drivers: Vec<Driver<L>>,
    settlement: Settlement<F::Ticket>,
    counters: Arc<LaneCounters>,
    /// Records of the feed that are not routed yet.
    records: std::vec::IntoIter<FeedRecord<F::Ticket>>,
    feed_ended: bool,
    /// Reused for each signal.
    selected: Vec<TargetRef>,
}

impl<F, L> Lane<F, L>
where
    F: Feed,
    L: Leaf,
{
    /// A lane that publishes the signals of `feed` for each connection through the leaf beside it.
    pub fn new(
        feed: F,
        intake: Intake,
        connections: Vec<(Arc<CompiledConnection>, L)>,
        acknowledgements: Box<dyn AcknowledgementSink>,
    ) -> Self {
        let (definitions, leaves): (Vec<_>, Vec<_>) = connections.into_iter().unzip();
        let counters = Arc::new(LaneCounters::default());
        Self {
            feed,
            intake,
            router: Router::new(definitions),
            drivers: leaves.into_iter().map(Driver::new).collect(),
            settlement: Settlement::new(acknowledgements, counters.clone()),
            counters,
            records: Vec::new().into_iter(),
            feed_ended: false,
            selected: Vec::new(),
        }
    }

    /// The lane's counters; those of a target are at the compiled target.
    pub fn counters(&self) -> Arc<LaneCounters> {
        self.counters.clone()
    }

    /// Runs until the feed has ended and everything in flight has settled, then gives the feed back.
    ///
    /// Cancel safety: what is in flight when the future is dropped settles no more; a replayable feed hands those
    /// records out again.
    pub async fn run(mut self) -> F {
        poll_fn(|cx| self.poll_run(cx)).await;
        self.feed
    }

    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut progress = false;
            for driver in &mut self.drivers {
                progress |= driver.take_completions(cx, &mut self.settlement);
                progress |= driver.deliver(cx, &mut self.settlement);
            }
            progress |= self.take_records(cx).is_ready();
            if !self.settlement.settled().is_empty() {
                self.feed.settle(self.settlement.settled());
            }
            if self.feed_ended && self.settlement.is_idle() {
                return Poll::Ready(());
            }
            if !progress {
                return Poll::Pending;
            }
        }
    }

    /// Routes at most one batch of the feed, and stops at the first signal that has to wait for room.
    fn take_records(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.feed_ended || self.is_blocked() {
            return Poll::Pending;
        }
        if self.records.len() == 0 {
            match ready!(self.feed.poll_records(cx)) {
                Some(records) => self.records = records.into_iter(),
                None => self.feed_ended = true,
            }
        }
        while !self.is_blocked()
            && let Some(record) = self.records.next()
        {
            self.route(record, cx);
        }
        Poll::Ready(())
    }

    /// Whether a signal of the feed still waits for room: order forbids to overtake it.
    fn is_blocked(&self) -> bool {
        self.drivers.iter().any(|driver| !driver.waiting.is_empty())
    }

    fn route(&mut self, record: FeedRecord<F::Ticket>, cx: &mut Context<'_>) {
        self.counters.receive();
        let signal = match self.intake.decode(record.payload, &record.headers) {
            Ok(signal) => signal,
            Err(refusal) => {
                let total = self.counters.drop_record(refusal.reason());
                if total.is_power_of_two() {
                    warn!(
                        reason = refusal.reason().name(),
                        total,
                        detail = refusal.detail(),
                        "record of the feed dropped"
                    );
                }
                return self.settlement.settle(record.ticket, None);
            }
        };
        self.counters.decode();
        self.selected.clear();
        self.router.select(&signal, &mut self.selected);
        let signal = Arc::new(signal);
        let ledger = self.router.ledger(&signal);
        if self.selected.is_empty() {
            self.counters.pass_by();
            return self.settlement.settle(record.ticket, ledger);
        }
        let key = self.settlement.begin(record.ticket, ledger);
        for selected in &self.selected {
            if let Some(target) = self.router.target(*selected)
                && let Some(driver) = self.drivers.get_mut(selected.connection)
            {
                let selected = Selected { signal: signal.clone(), target: target.clone() };
                driver.prepare(key, selected, &mut self.settlement);
            }
        }
        signal.forget_payloads();
        self.settlement.routed(key);
        for driver in &mut self.drivers {
            driver.deliver(cx, &mut self.settlement);
        }
    }
}

/// The stacks of one connection and what waits between them.
struct Driver<L> {
    prepare: Staged<Authorize, MapSignal>,
    deliver: Staged<MapHeaders, Staged<ResolveAddress, L>>,
    /// Mapped messages in feed order; never more than those of one signal.
    waiting: VecDeque<Mapped>,
    /// Reused for each batch of completions.
    completions: Vec<Completion>,
}

impl<L: Leaf> Driver<L> {
    fn new(leaf: L) -> Self {
        Self {
            prepare: ServiceBuilder::new().layer(StageLayer::new(Authorize)).service(MapSignal::default()),
            deliver: ServiceBuilder::new()
                .layer(StageLayer::new(MapHeaders))
                .layer(StageLayer::new(ResolveAddress))
                .service(leaf),
            waiting: VecDeque::new(),
            completions: Vec::new(),
        }
    }

    /// Takes one signal through the prepare stack; its messages then wait for the deliver stack.
    fn prepare<T>(&mut self, signal: SignalKey, selected: Selected, settlement: &mut Settlement<T>) {
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

    /// Enqueues what waits, as far as there is room; stores the waker where there is none. Whether anything moved.
    fn deliver<T>(&mut self, cx: &mut Context<'_>, settlement: &mut Settlement<T>) -> bool {
        let mut moved = false;
        while !self.waiting.is_empty() {
            let room = match self.deliver.poll_ready(cx) {
                Poll::Ready(room) => room,
                Poll::Pending => break,
            };
            let Some(mapped) = self.waiting.pop_front() else { break };
            moved = true;
            let token = mapped.token;
            match room.and_then(|()| self.deliver.call(mapped).into_output()) {
                Ok(Enqueued::Queued(written)) => settlement.enqueued(token, written),
                Ok(Enqueued::Dropped(reason)) => settlement.drop_record(token, reason),
                Err(error) => settlement.complete(Completion { token, result: Err(error) }),
            }
        }
        moved
    }

    /// Settles what has completed; otherwise stores the waker. Whether there was anything.
    fn take_completions<T>(&mut self, cx: &mut Context<'_>, settlement: &mut Settlement<T>) -> bool {
        if self.deliver.poll_completions(cx, &mut self.completions).is_pending() {
            return false;
        }
        for completion in self.completions.drain(..) {
            settlement.complete(completion);
        }
        true
    }
}

impl<F: Feed, L> fmt::Debug for Lane<F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("connections", &self.drivers.len())
            .field("in_flight", &self.settlement.in_flight())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
