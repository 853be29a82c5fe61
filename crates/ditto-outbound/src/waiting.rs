//! Signals that wait for what the directory knows of their things.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::signal::RoutedSignal;

/// Signals of things that the directory was asked for, in the order of the feed for each thing. Others pass them.
#[derive(Debug)]
pub(crate) struct WaitingThings<T> {
    by_thing: HashMap<String, VecDeque<Waiting<T>>>,
    /// Things for which there may be an answer; each once.
    answered: VecDeque<String>,
    signals: usize,
    bytes: usize,
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
        Self { by_thing: HashMap::new(), answered: VecDeque::new(), signals: 0, bytes: 0 }
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
    pub(crate) fn waits(&self, thing: &str) -> bool {
        !self.by_thing.is_empty() && self.by_thing.contains_key(thing)
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
        self.by_thing.entry(thing).or_default().push_back(waiting);
    }

    /// There may be an answer for that thing.
    pub(crate) fn answered(&mut self, thing: String) {
        if self.by_thing.contains_key(&thing) && !self.answered.contains(&thing) {
            self.answered.push_back(thing);
        }
    }

    /// The first signal of a thing for which there may be an answer.
    pub(crate) fn next_answered(&mut self) -> Option<Arc<RoutedSignal>> {
        loop {
            let thing = self.answered.front()?;
            match self.by_thing.get(thing).and_then(VecDeque::front) {
                Some(first) => return Some(first.signal.clone()),
                None => drop(self.answered.pop_front()),
            }
        }
    }

    /// There was no answer for it after all.
    pub(crate) fn put_off(&mut self) {
        self.answered.pop_front();
    }

    /// Takes what [`Self::next_answered`] gave.
    pub(crate) fn take_answered(&mut self) -> Option<Waiting<T>> {
        let thing = self.answered.front()?.clone();
        self.take_first(&thing)
    }

    /// When a signal has waited for too long, if there is any.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let first = self.by_thing.values().filter_map(VecDeque::front);
        first.map(|waiting| waiting.since + PATIENCE).min()
    }

    /// Takes a signal that has waited for too long.
    pub(crate) fn take_late(&mut self, now: Instant) -> Option<Waiting<T>> {
        let is_late =
            |queue: &VecDeque<Waiting<T>>| queue.front().is_some_and(|it| it.since + PATIENCE <= now);
        let thing = self.by_thing.iter().find(|(_, queue)| is_late(queue)).map(|(thing, _)| thing.clone())?;
        self.take_first(&thing)
    }

    fn take_first(&mut self, thing: &str) -> Option<Waiting<T>> {
        let queue = self.by_thing.get_mut(thing)?;
        let first = queue.pop_front();
        if queue.is_empty() {
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
