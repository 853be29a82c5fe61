//! What waits until somebody mends what is wrong (design.md §3, "Settlement and acknowledgement are two things").

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use crate::leaf::{Destined, Token};
use crate::map::Mapped;
use crate::outcome::{DeliverError, DeliverErrorKind};

/// What becomes of a record that was not published. The one place that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// It has failed, and its signal's ticket may settle.
    Final,
    /// It waits with everything else for its target.
    HoldTarget,
    /// It waits with everything else for its connection.
    HoldConnection,
    /// It goes out again in a batch of its own, as do the others of its batch, and everything else for their target waits
    /// for them.
    Alone,
    /// It is enqueued once more, as soon as the leaf has room: nothing was wrong with it or with the brokers.
    Again,
}

impl Settling {
    /// By the kind of the error, whether the target's topic is the same for each signal, and whether the feed hands out
    /// again what has not settled.
    #[must_use]
    pub fn of(kind: DeliverErrorKind, has_fixed_topic: bool, can_replay: bool) -> Self {
        match kind {
            DeliverErrorKind::AddressUnresolved
            | DeliverErrorKind::AddressInvalid
            | DeliverErrorKind::Record(_)
            | DeliverErrorKind::ThingAbsent
            | DeliverErrorKind::ThingUnknown
            | DeliverErrorKind::Mapping => Self::Final,
            DeliverErrorKind::Batch(_) => Self::Alone,
            // A topic that was made of the signal is that signal's own affair.
            DeliverErrorKind::Target(_) if !has_fixed_topic => Self::Final,
            DeliverErrorKind::Target(_) if can_replay => Self::HoldTarget,
            DeliverErrorKind::Connection(_) if can_replay => Self::HoldConnection,
            DeliverErrorKind::Target(_) | DeliverErrorKind::Connection(_) => Self::Final,
            DeliverErrorKind::Producer(_) => Self::Again,
        }
    }
}

/// What to do with the signals of a target or connection that is on hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnHold {
    /// They wait, and the feed waits with them.
    #[default]
    Wait,
    /// They are dropped, by that name.
    Drop,
}

/// Why a target or a connection is on hold, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The first moment.
    pub since: SystemTime,
    /// The last error.
    pub error: DeliverError,
}

/// A record or message that waits for its turn.
#[derive(Debug)]
pub(crate) enum Parked {
    /// It never reached the leaf.
    Mapped(Mapped),
    /// The leaf gave it back.
    Destined(Box<Destined>),
}

impl Parked {
    pub(crate) fn token(&self) -> Token {
        match self {
            Self::Mapped(mapped) => mapped.token,
            Self::Destined(destined) => destined.token,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Mapped(mapped) => mapped.content.len(),
            Self::Destined(destined) => destined.payload.len(),
        }
    }
}

/// What waits for one target, by the place in which it was first to be enqueued.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    records: BTreeMap<u64, Parked>,
    bytes: usize,
}

/// What may wait for a target. Beyond it the lane waits.
const MAX_PARKED: usize = 10_000;
const MAX_PARKED_BYTES: usize = 16 << 20;

impl Parking {
    pub(crate) fn park(&mut self, order: u64, parked: Parked) {
        self.bytes += parked.bytes();
        self.records.insert(order, parked);
    }

    pub(crate) fn take_first(&mut self) -> Option<Parked> {
        let (_, first) = self.records.pop_first()?;
        self.bytes -= first.bytes();
        Some(first)
    }

    pub(crate) fn first_order(&self) -> Option<u64> {
        self.records.first_key_value().map(|(order, _)| *order)
    }

    pub(crate) fn take_all(&mut self) -> BTreeMap<u64, Parked> {
        self.bytes = 0;
        std::mem::take(&mut self.records)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.records.len() >= MAX_PARKED || self.bytes >= MAX_PARKED_BYTES
    }
}

/// A target or a connection is on hold: nothing goes there but one record from time to time, to see whether it does again.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The record that is being tried.
    probe: Option<Token>,
    /// When the next one may be.
    retry_at: Instant,
    pause: Duration,
}

/// Between two tries, from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Gate {
    pub(crate) fn new(now: Instant) -> Self {
        Self { probe: None, retry_at: now + FIRST_PAUSE, pause: FIRST_PAUSE }
    }

    /// When the next record may be tried; none while one is.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        self.probe.is_none().then_some(self.retry_at)
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due_at().is_some_and(|due| due <= now)
    }

    pub(crate) fn probing(&mut self, token: Token) {
        self.probe = Some(token);
    }

    /// Whether this record is the one that is being tried; from now on it is not.
    pub(crate) fn take_probe(&mut self, token: Token) -> bool {
        let is_probe = self.probe == Some(token);
        if is_probe {
            self.probe = None;
        }
        is_probe
    }

    /// The one that was tried has failed.
    pub(crate) fn put_off(&mut self, now: Instant) {
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.retry_at = now + self.pause;
    }

    /// Nothing is known against trying the next one at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.retry_at = now;
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Refusal;

    #[test]
    fn an_error_settles_by_its_scope() {
        use DeliverErrorKind::{
            AddressInvalid, AddressUnresolved, Batch, Connection, Producer, Record, Target,
        };
        use Settling::{Again, Alone, Final, HoldConnection, HoldTarget};
        let refusal = Refusal { retriable: true };
        // By topic and feed: fixed and replaying, made of the signal and replaying, fixed and passing, made and passing.
        for (kind, expected) in [
            (AddressUnresolved, [Final; 4]),
            (AddressInvalid, [Final; 4]),
            (Record(refusal), [Final; 4]),
            (Batch(refusal), [Alone; 4]),
            (Target(refusal), [HoldTarget, Final, Final, Final]),
            (Connection(refusal), [HoldConnection, HoldConnection, Final, Final]),
            (Producer(refusal), [Again; 4]),
        ] {
            let cases = [(true, true), (false, true), (true, false), (false, false)];
            assert_eq!(
                cases.map(|(fixed, replays)| Settling::of(kind, fixed, replays)),
                expected,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let start = Instant::now();
        let mut gate = Gate::new(start);
        assert!(!gate.is_due(start) && gate.is_due(start + FIRST_PAUSE));
        for _ in 0..10 {
            gate.put_off(start);
        }
        assert_eq!(gate.due_at(), Some(start + LONGEST_PAUSE));
        gate.probing(7);
        assert_eq!(gate.due_at(), None);
        assert!(!gate.take_probe(8) && gate.take_probe(7) && !gate.take_probe(7));
        gate.hurry(start);
        assert!(gate.is_due(start));
    }
}
