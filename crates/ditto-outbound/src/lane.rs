//! The loop that drives signals from a feed through the stacks and settles them.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use ditto_protocol::EntityKind;
use tokio::sync::mpsc;
use tokio::time::Sleep;
use tracing::warn;

use crate::acknowledge::{AcknowledgementSink, Ledger};
use crate::ask;
use crate::control::{Change, LaneControl, Leaving};
use crate::counters::{FeedDrop, LaneCounters};
use crate::dead_letter::Source;
use crate::directory::Directory;
use crate::driver::Driver;
use crate::feed::{Feed, FeedRecord};
use crate::intake::Intake;
use crate::leaf::Leaf;
use crate::outcome::{DeliverError, DropReason, Outcome};
use crate::router::{Router, Selection};
use crate::settle::Settlement;
use crate::signal::{Audience, RoutedSignal, Selected, ThingState, Unreadable, now_ms};
use crate::target::CompiledConnection;
use crate::waiting::{Waiting, WaitingThings};

/// One position in a feed and the connections that it serves.
///
/// The loop takes completions whenever it waits for room, since room comes back with completions. Records of one
/// connection are enqueued in the order in which the feed has their signals.
pub struct Lane<F: Feed, L> {
    feed: F,
    intake: Intake,
    router: Router,
    drivers: Vec<Driver<L>>,
    /// What takes records of the feed that are no signals or have failed, if anything does.
    originals: Option<Driver<L>>,
    /// Whether failures of any signal have letters.
    buries: bool,
    /// Drivers of connections that were closed or changed, with something in flight.
    leaving: Vec<Leaving<L>>,
    control: LaneControl<L>,
    changes: mpsc::UnboundedReceiver<Change<L>>,
    /// A change that waits for an earlier one of its connection.
    put_off: Option<Change<L>>,
    settlement: Settlement<F::Ticket>,
    counters: Arc<LaneCounters>,
    /// Records of the feed that are not routed yet.
    records: std::vec::IntoIter<FeedRecord<F::Ticket>>,
    feed_ended: bool,
    /// What knows things, if anything does.
    directory: Option<Box<dyn Directory>>,
    waiting: WaitingThings<F::Ticket>,
    /// Reused for each signal.
    selected: Selection,
    /// Reused for each answer of the directory.
    answered: Vec<String>,
    /// Wakes the lane when a hold is to be tried, or a requester waits no longer; made when that first happens.
    timer: Option<Pin<Box<Sleep>>>,
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
        let counters = Arc::new(LaneCounters::default());
        let (control, changes) = LaneControl::new();
        let driver = |(connection, leaf)| Driver::new(connection, leaf, F::CAN_REPLAY);
        let router = Router::new(connections.iter().map(|(connection, _)| connection.clone()).collect());
        router.offer();
        Self {
            feed,
            intake,
            router,
            buries: connections.iter().any(|(connection, _)| connection.dead_letters().is_some()),
            drivers: connections.into_iter().map(driver).collect(),
            originals: None,
            leaving: Vec::new(),
            control,
            changes,
            put_off: None,
            settlement: Settlement::new(acknowledgements, counters.clone()),
            counters,
            records: Vec::new().into_iter(),
            feed_ended: false,
            directory: None,
            waiting: WaitingThings::default(),
            selected: Selection::default(),
            answered: Vec::new(),
            timer: None,
        }
    }

    /// Asks the directory for things whose fields go with signals.
    #[must_use]
    pub fn with_directory(self, directory: Box<dyn Directory>) -> Self {
        Self { directory: Some(directory), ..self }
    }

    /// Keeps records of the feed that are no signals, or have failed for a target, as they were, in the topic of
    /// [`CompiledConnection::of_originals`]. It is for whoever may read everything.
    #[must_use]
    pub fn with_originals(mut self, to: Arc<CompiledConnection>, leaf: L) -> Self {
        if let Some(topic) = to.dead_letters() {
            self.settlement.keep_originals(topic.clone());
        }
        Self { originals: Some(Driver::new(to, leaf, F::CAN_REPLAY)), buries: true, ..self }
    }

    /// What it serves.
    pub fn connections(&self) -> Vec<Arc<CompiledConnection>> {
        self.drivers.iter().map(|driver| driver.connection().clone()).collect()
    }

    /// What keeps records of the feed that are no signals or have failed.
    pub fn originals(&self) -> Option<Arc<CompiledConnection>> {
        self.originals.as_ref().map(|driver| driver.connection().clone())
    }

    /// The lane's counters; those of a target are at the compiled target.
    pub fn counters(&self) -> Arc<LaneCounters> {
        self.counters.clone()
    }

    /// Changes what the lane serves.
    pub fn control(&self) -> LaneControl<L> {
        self.control.clone()
    }

    /// Runs until the feed has ended and everything in flight has settled, then gives the feed back.
    ///
    /// Needs tokio's timer if something is put on hold or a signal requests acknowledgements.
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
            progress |= self.take_change(cx);
            if let Some(originals) = &mut self.originals {
                progress |= originals.take_completions(cx, &mut self.settlement);
                progress |= originals.deliver(cx, &mut self.settlement);
            }
            for driver in &mut self.drivers {
                progress |= driver.take_completions(cx, &mut self.settlement);
                if !self.leaving.iter().any(|leaving| leaving.holds_up(driver)) {
                    progress |= driver.deliver(cx, &mut self.settlement);
                }
            }
            progress |= self.take_answers(cx);
            progress |= self.take_records(cx).is_ready();
            progress |= self.take_originals();
            if !self.settlement.settled().is_empty() {
                self.feed.settle(self.settlement.settled());
            }
            if self.feed_ended && self.settlement.is_idle() && self.waiting.is_empty() {
                return Poll::Ready(());
            }
            progress |= self.poll_timer(cx);
            if !progress {
                return Poll::Pending;
            }
        }
    }

    /// Sees to what is due, else has the lane woken when something will be. Whether anything was due.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let tries = self.drivers.iter().chain(&self.originals).filter_map(Driver::next_try);
        let looks = self.leaving.iter().filter_map(Leaving::next_look);
        let deadline = self.settlement.next_deadline();
        // A feed that hands signals out again can wait for the directory. Whoever waits for room is woken by that.
        let late = if F::CAN_REPLAY || self.is_blocked() { None } else { self.waiting.next_deadline() };
        let Some(next) = tries.chain(looks).chain(deadline).chain(late).min() else { return false };
        let at = tokio::time::Instant::from_std(next);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        if timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        let Self { settlement, drivers, leaving, .. } = self;
        settlement.answer_late(Instant::now(), |target| {
            let leaving = leaving.iter().map(Leaving::driver);
            // A signal of before a change waits for what leaves.
            let mut of_connection = leaving.chain(&*drivers).filter(|driver| driver.serves(target));
            of_connection.next()?.trouble(target)
        });
        true
    }

    /// Routes at most one batch of the feed, and stops at the first signal that has to wait for room.
    fn take_records(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.feed_ended || self.is_blocked() || self.waiting.is_full() {
            return Poll::Pending;
        }
        if self.records.len() == 0 {
            match ready!(self.feed.poll_records(cx)) {
                Some(records) => self.records = records.into_iter(),
                None => self.feed_ended = true,
            }
        }
        while !self.is_blocked()
            && !self.waiting.is_full()
            && let Some(record) = self.records.next()
        {
            self.route(record, cx);
        }
        Poll::Ready(())
    }

    /// Whether a signal of the feed still waits for room, or for the signals of an earlier definition: order forbids to
    /// overtake them.
    fn is_blocked(&self) -> bool {
        let waits = |driver| self.leaving.iter().any(|leaving| leaving.holds_up(driver));
        self.drivers.iter().chain(&self.originals).any(|driver| driver.is_blocked() || waits(driver))
    }

    /// Hands on what is to be kept as it was. Whether there was anything.
    fn take_originals(&mut self) -> bool {
        let Some(driver) = &mut self.originals else { return false };
        let due = self.settlement.take_originals();
        let is_any = !due.is_empty();
        if let Some(topic) = driver.connection().dead_letters().and_then(|to| to.letter_topic()).cloned() {
            due.into_iter().for_each(|due| driver.push(due.order, due.write(&topic)));
        }
        is_any
    }

    /// Takes on a change. While what an earlier one has replaced still leaves, those of its connection wait, and with them what
    /// came after; others go on. Whether there was anything to do.
    fn take_change(&mut self, cx: &mut Context<'_>) -> bool {
        let Self { leaving, drivers, settlement, .. } = self;
        let before = leaving.len();
        leaving.retain_mut(|leaving| leaving.poll(cx, drivers, settlement).is_pending());
        let has_left = leaving.len() < before;
        let change = match self.put_off.take() {
            Some(change) => change,
            None => match self.changes.poll_recv(cx) {
                Poll::Ready(Some(change)) => change,
                _ => return has_left,
            },
        };
        if self.leaving.iter().any(|leaving| leaving.driver().connection().id() == change.id()) {
            self.put_off = Some(change);
            return has_left;
        }
        self.leaving.extend(change.apply(&mut self.drivers, F::CAN_REPLAY));
        let connections = self.connections();
        self.buries = self.originals.is_some()
            || connections.iter().any(|connection| connection.dead_letters().is_some());
        self.router = Router::new(connections);
        self.router.offer();
        true
    }

    fn route(&mut self, record: FeedRecord<F::Ticket>, cx: &mut Context<'_>) {
        self.counters.receive();
        let is_kept = self.buries || record.origin.redriven.is_some();
        let source = is_kept.then(|| Source::of(&record, self.originals.is_some()));
        let signal = match self.intake.decode(record.payload, &record.headers) {
            Ok(signal) => signal.with_source(source),
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
                let source = source.filter(|_| refusal.reason() != FeedDrop::Empty);
                let (reason, why) = (refusal.reason().name(), refusal.detail());
                self.settlement.settle_undecodable(record.ticket, source, reason, why);
                self.take_originals();
                return;
            }
        };
        self.counters.decode();
        let signal = Arc::new(signal);
        let entity = signal.signal().entity();
        if let Some(directory) = &mut self.directory
            && entity.kind() == EntityKind::Thing
        {
            directory.observe(signal.signal());
            if self.waiting.holds_up(&entity) || self.selects_in_vain(&signal) {
                let thing = entity.to_string();
                return self.waiting.push(thing, signal.untold(), record.ticket, record.timestamp_ms);
            }
        } else {
            self.select(&signal);
        }
        self.dispatch(signal, record.ticket, record.timestamp_ms, cx);
    }

    fn select(&mut self, signal: &RoutedSignal) {
        self.router.select(signal, &mut self.selected);
    }

    /// Selects targets, unless the directory does not know yet what that takes: then true.
    fn selects_in_vain(&mut self, signal: &Arc<RoutedSignal>) -> bool {
        let Some(directory) = self.directory.as_deref_mut() else { return false };
        !ask::select(&self.router, directory, signal, &mut self.selected)
    }

    /// Takes signals on whose things the directory knows by now. Whether there was anything to do.
    fn take_answers(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(directory) = &mut self.directory else { return false };
        let mut progress = directory.poll_answers(cx, &mut self.answered).is_ready();
        self.answered.drain(..).for_each(|thing| self.waiting.answered(thing));
        while !self.is_blocked()
            && let Some(first) = self.waiting.next_answered()
        {
            progress = true;
            // What waits stays untold: what is known of it in part is too old once all of it is.
            let signal = first.untold();
            if self.selects_in_vain(&signal) {
                self.waiting.put_off();
            } else if let Some(Waiting { ticket, timestamp_ms, .. }) = self.waiting.take_answered() {
                self.dispatch(signal, ticket, timestamp_ms, cx);
            }
        }
        while !F::CAN_REPLAY
            && !self.is_blocked()
            && let Some(Waiting { signal, ticket, timestamp_ms, .. }) = self.waiting.take_late(Instant::now())
        {
            progress = true;
            let trouble = self.directory.as_ref().and_then(|directory| directory.trouble());
            let trouble: Arc<str> =
                trouble.unwrap_or_else(|| "the directory has not answered in time".to_owned()).into();
            let known = self.directory.as_deref_mut().and_then(|directory| ask::audience(directory, &signal));
            let unknown = || Audience::Nobody(Unreadable::PolicyUnknown(trouble.clone()));
            signal.tell_of_audience(known.unwrap_or_else(unknown));
            signal.tell_of_thing(ThingState::Unknown(trouble));
            self.select(&signal);
            self.dispatch(signal, ticket, timestamp_ms, cx);
        }
        progress
    }

    fn dispatch(
        &mut self,
        signal: Arc<RoutedSignal>,
        ticket: F::Ticket,
        timestamp_ms: Option<i64>,
        cx: &mut Context<'_>,
    ) {
        self.hand_out(&signal, ticket, timestamp_ms, cx);
        self.router.count(&signal, &self.selected);
    }

    /// Takes a signal to the targets that are selected.
    fn hand_out(
        &mut self,
        signal: &Arc<RoutedSignal>,
        ticket: F::Ticket,
        timestamp_ms: Option<i64>,
        cx: &mut Context<'_>,
    ) {
        let mut ledger = self.router.ledger(signal);
        if self.selected.targets.is_empty() {
            match signal.audience() {
                Some(Audience::Nobody(why)) => self.withhold(signal, why, ledger.as_deref_mut()),
                _ => self.counters.pass_by(),
            }
            return self.settlement.settle(ticket, ledger);
        }
        let expires_ms = timestamp_ms.and_then(|taken| signal.expires_ms(taken));
        if expires_ms.is_some_and(|expires| expires <= now_ms()) {
            return self.expire(ticket);
        }
        let key = self.settlement.begin(ticket, ledger, expires_ms);
        if signal.source().is_some() {
            self.settlement.keep(key, signal.clone());
        }
        for selected in &self.selected.targets {
            if let Some(target) = self.router.target(*selected)
                && let Some(driver) = self.drivers.get_mut(selected.connection)
            {
                let selected = Selected { signal: signal.clone(), target: target.clone() };
                driver.prepare(key, selected, &mut self.settlement);
            }
        }
        signal.forget_made();
        self.settlement.routed(key);
        for driver in &mut self.drivers {
            driver.deliver(cx, &mut self.settlement);
        }
        self.take_originals();
    }
}

impl<F: Feed, L> Lane<F, L> {
    /// Says that nobody may read a signal that targets want.
    fn withhold(&self, signal: &RoutedSignal, why: &Unreadable, ledger: Option<&mut Ledger>) {
        let total = self.counters.withhold(why);
        if total.is_power_of_two() {
            warn!(reason = why.name(), total, entity = %signal.signal().entity(), detail = %why, "nobody may read a signal");
        }
        if let (Unreadable::PolicyUnknown(_), Some(ledger)) = (why, ledger) {
            ledger.fail(&DeliverError::thing_unknown(&why.to_string()));
        }
    }

    /// The selected targets do not get a signal that nobody waits for any more; nobody waits for acknowledgements either.
    fn expire(&mut self, ticket: F::Ticket) {
        let key = self.settlement.begin(ticket, None, None);
        for selected in &self.selected.targets {
            if let Some(target) = self.router.target(*selected) {
                let target = self.settlement.select(key, target);
                self.settlement.end(key, target, &Outcome::Dropped(DropReason::Expired));
            }
        }
        self.settlement.routed(key);
    }
}

impl<F: Feed, L> fmt::Debug for Lane<F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("connections", &self.drivers.len())
            .field("waiting", &self.waiting.len())
            .field("in_flight", &self.settlement.in_flight())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
