//! Signals that wait for what the directory knows of their things.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ditto_protocol::Entity;

use crate::signal::RoutedSignal;

/// Signals of things that the directory was asked for, in the order of the feed for each thing. Others pass them.
#[derive(Debug)]
pub(crate) struct WaitingThings<T> {
    by_thing: HashMap<String, OfThing<T>>,
    /// Things for which there may be an answer; each once.
    answered: VecDeque<String>,
    signals: usize,
    bytes: usize,
    /// No signal has waited for longer than since then.
    oldest: Option<Instant>,
}

/// The signals of a thing; at least one.
#[derive(Debug)]
struct OfThing<T> {
    signals: VecDeque<Waiting<T>>,
    /// Whether it is among those that were answered.
    is_answered: bool,
}

/// A signal that waits.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    pub(crate) signal: Arc<RoutedSignal>,
    pub(crate) ticket: T,
    pub(crate) timestamp_ms: Option<i64>,
    since: Instant,
}

/// Signals and their bytes that may wait before the lane reads no further.
const MAX_SIGNALS: usize = 10_000;
const MAX_BYTES: usize = 32 << 20;
/// How long a signal waits that its feed does not hand out again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

impl<T> Default for WaitingThings<T> {
    fn default() -> Self {
        Self { by_thing: HashMap::new(), answered: VecDeque::new(), signals: 0, bytes: 0, oldest: None }
    }
}

impl<T> WaitingThings<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.signals == 0
    }

    /// Whether no more may wait.
    pub(crate) fn is_full(&self) -> bool {
        self.signals >= MAX_SIGNALS || self.bytes >= MAX_BYTES
    }

    /// Signals that wait.
    pub(crate) fn len(&self) -> usize {
        self.signals
    }

    /// Whether a signal of that thing waits: later ones must not overtake it.
    pub(crate) fn holds_up(&self, thing: &Entity<'_>) -> bool {
        !self.is_empty() && self.by_thing.contains_key(&thing.to_string())
    }

    pub(crate) fn push(
        &mut self,
        thing: String,
        signal: Arc<RoutedSignal>,
        ticket: T,
        timestamp_ms: Option<i64>,
    ) {
        self.signals += 1;
        self.bytes += signal.size();
        let waiting = Waiting { signal, ticket, timestamp_ms, since: Instant::now() };
        self.oldest.get_or_insert(waiting.since);
        let new = || OfThing { signals: VecDeque::new(), is_answered: false };
        self.by_thing.entry(thing).or_insert_with(new).signals.push_back(waiting);
    }

    /// There may be an answer for that thing.
    pub(crate) fn answered(&mut self, thing: String) {
        if let Some(of_thing) = self.by_thing.get_mut(&thing)
            && !std::mem::replace(&mut of_thing.is_answered, true)
        {
            self.answered.push_back(thing);
        }
    }

    /// The first signal of a thing for which there may be an answer.
    pub(crate) fn next_answered(&mut self) -> Option<Arc<RoutedSignal>> {
        loop {
            let thing = self.answered.front()?;
            // Another thing of that id may have come to wait since.
            match self.by_thing.get(thing).filter(|of_thing| of_thing.is_answered) {
                Some(of_thing) => return of_thing.signals.front().map(|first| first.signal.clone()),
                None => drop(self.answered.pop_front()),
            }
        }
    }

    /// There was no answer for it after all.
    pub(crate) fn put_off(&mut self) {
        if let Some(of_thing) = self.answered.pop_front().and_then(|thing| self.by_thing.get_mut(&thing)) {
            of_thing.is_answered = false;
        }
    }

    /// Takes what [`Self::next_answered`] gave.
    pub(crate) fn take_answered(&mut self) -> Option<Waiting<T>> {
        let thing = self.answered.front()?.clone();
        self.take_first(&thing)
    }

    /// When it is time to look for signals that have waited for too long.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.oldest.map(|oldest| oldest + PATIENCE)
    }

    /// Takes a signal that has waited for too long.
    pub(crate) fn take_late(&mut self, now: Instant) -> Option<Waiting<T>> {
        if self.next_deadline().is_none_or(|deadline| now < deadline) {
            return None;
        }
        let first = |(thing, of_thing): (_, &OfThing<T>)| Some((of_thing.signals.front()?.since, thing));
        let oldest = self.by_thing.iter().filter_map(first).min();
        self.oldest = oldest.map(|(since, _)| since);
        let (_, thing) = oldest.filter(|(since, _)| *since + PATIENCE <= now)?;
        let thing = thing.clone();
        self.take_first(&thing)
    }

    fn take_first(&mut self, thing: &str) -> Option<Waiting<T>> {
        let of_thing = self.by_thing.get_mut(thing)?;
        let first = of_thing.signals.pop_front();
        if of_thing.signals.is_empty() {
            self.by_thing.remove(thing);
        }
        if let Some(first) = &first {
            self.signals -= 1;
            self.bytes -= first.signal.size();
        }
        first
    }
}

#[cfg(test)]
mod tests;
