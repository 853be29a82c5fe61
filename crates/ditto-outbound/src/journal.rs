//! What happened to a connection and its signals lately, for people (status-metrics-logs.md §5).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ditto_protocol::{EntityKind, Signal};

use crate::counters::{FILTERED, LATE};
use crate::outcome::{DeliverErrorKind, Outcome};

/// The log of a connection: the newest entries of each address, type and level. Cloning shares it, so it outlives the
/// definition that it is about.
///
/// Every failure is written. Of signals that go well, one in a tenth of a second is, with all of its steps: writing each would
/// cost more than publishing it, and nobody would see more than the newest.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Rings>>);

type Rings = BTreeMap<(EntryCategory, Step, EntryLevel, Option<Arc<str>>), VecDeque<Entry>>;

/// The newest entries that are kept of one address, type and level.
const CAPACITY: usize = 10;

/// Between two signals of a target that are written though nothing is wrong with them.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub time: SystemTime,
    /// What it is about.
    pub category: EntryCategory,
    /// The step that it tells of.
    pub step: Step,
    /// How that ended.
    pub level: EntryLevel,
    /// Address of the target, as it is configured.
    pub address: Option<Arc<str>>,
    /// The signal, if it is known.
    pub about: About,
    /// What happened, for people.
    pub message: String,
}

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryCategory {
    /// A source.
    Source,
    /// A target.
    Target,
    /// The connection itself.
    Connection,
}

/// A step on the way of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Selected for a target.
    Dispatched,
    /// Its filters hold.
    Filtered,
    /// Made into messages.
    Mapped,
    /// Left out on purpose.
    Dropped,
    /// Written by the brokers.
    Published,
    /// Acknowledged to whoever asked.
    Acknowledged,
    /// Anything else, such as a payload mapper that failed.
    Other,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryLevel {
    /// As it is meant to.
    Success,
    /// Not so.
    Failure,
}

/// Which signal an entry is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Its correlation id.
    pub correlation_id: Option<Box<str>>,
    /// Type and id of its entity: `("thing", "org.acme:press-4")`.
    pub entity: Option<(&'static str, Box<str>)>,
}

impl Journal {
    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an entry.
    pub fn write(&self, entry: Entry) {
        let place = (entry.category, entry.step, entry.level, entry.address.clone());
        let mut rings = self.rings();
        let ring = rings.entry(place).or_default();
        if ring.len() == CAPACITY {
            ring.pop_front();
        }
        ring.push_back(entry);
    }

    /// Writes what happened to the connection itself.
    pub fn of_connection(&self, level: EntryLevel, message: String) {
        self.other(EntryCategory::Connection, level, None, message);
    }

    /// Writes why nothing comes from an address of a source.
    pub fn of_source(&self, address: &str, message: String) {
        self.other(EntryCategory::Source, EntryLevel::Failure, Some(address.into()), message);
    }

    fn other(&self, category: EntryCategory, level: EntryLevel, address: Option<Arc<str>>, message: String) {
        let (time, step, about) = (SystemTime::now(), Step::Other, About::default());
        self.write(Entry { time, category, step, level, address, about, message });
    }

    /// The entries that are kept, the oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.rings().values().flatten().cloned().collect();
        // Steps of one signal have one time and stay in their order.
        entries.sort_by_key(|entry| (entry.time, entry.step));
        entries
    }

    /// Forgets them.
    pub fn clear(&self) {
        self.rings().clear();
    }

    /// Writes all steps of a signal for a target.
    pub(crate) fn of_signal(&self, address: &Arc<str>, about: &About, outcome: &Outcome) {
        let time = SystemTime::now();
        for (step, level) in steps(outcome) {
            let mut about = about.clone();
            // A record that was written is no signal any more (the reference).
            if (step, level) == (Step::Published, EntryLevel::Success) {
                about.entity = None;
            }
            self.write(Entry {
                time,
                category: EntryCategory::Target,
                step,
                level,
                address: Some(address.clone()),
                about,
                message: message(step, level, outcome),
            });
        }
    }
}

impl About {
    pub(crate) fn of(signal: &Signal) -> Self {
        let entity = signal.entity();
        let id = || match entity.namespace() {
            Some(namespace) => format!("{namespace}:{}", entity.name()).into(),
            None => entity.name().into(),
        };
        let kind = match entity.kind() {
            EntityKind::Thing => Some("thing"),
            EntityKind::Policy => Some("policy"),
            EntityKind::Connection => Some("connection"),
            EntityKind::None => None,
        };
        Self {
            correlation_id: signal.headers().correlation_id().map(|id| (*id.text()).into()),
            entity: kind.map(|kind| (kind, id())),
        }
    }
}

/// The steps that a signal has taken, by how it ended: what is logged, and what is counted.
pub(crate) fn steps(outcome: &Outcome) -> Vec<(Step, EntryLevel)> {
    use EntryLevel::{Failure, Success};
    let (passed, last) = match outcome {
        Outcome::Published => (3, (Step::Published, Success)),
        Outcome::Dropped(reason) => match reason {
            reason if FILTERED.contains(reason) => (1, (Step::Dropped, Success)),
            reason if LATE.contains(reason) => (3, (Step::Dropped, Failure)),
            _ => (2, (Step::Dropped, Success)),
        },
        Outcome::Failed(error) => match error.kind() {
            DeliverErrorKind::ThingAbsent | DeliverErrorKind::ThingUnknown => (1, (Step::Mapped, Failure)),
            DeliverErrorKind::Mapping => (2, (Step::Other, Failure)),
            _ => (3, (Step::Published, Failure)),
        },
    };
    let before = [Step::Dispatched, Step::Filtered, Step::Mapped].map(|step| (step, Success));
    before.into_iter().take(passed).chain([last]).collect()
}

fn message(step: Step, level: EntryLevel, outcome: &Outcome) -> String {
    match (step, level, outcome) {
        (Step::Dropped, _, Outcome::Dropped(reason)) => format!("dropped ({}): {reason}", reason.name()),
        (_, EntryLevel::Failure, Outcome::Failed(error)) => {
            format!("failed ({}): {error}; {}", error.kind().name(), error.kind().remedy())
        }
        (Step::Dispatched, ..) => "kind, namespace and a subject of the target match".to_owned(),
        (Step::Filtered, ..) => "a topic of the target is for it".to_owned(),
        (Step::Mapped, ..) => "made into messages".to_owned(),
        (Step::Published, ..) => "written by the brokers".to_owned(),
        _ => String::new(),
    }
}

impl EntryCategory {
    /// Its name in the log: `target`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
            Self::Connection => "connection",
        }
    }
}

impl EntryLevel {
    /// Its name in the log: `success`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

impl Step {
    /// All of them, in the order in which a signal takes them.
    pub const ALL: [Self; 7] = [
        Self::Dispatched,
        Self::Filtered,
        Self::Mapped,
        Self::Dropped,
        Self::Published,
        Self::Acknowledged,
        Self::Other,
    ];

    /// Its name in logs and metrics: `dispatched`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dispatched => "dispatched",
            Self::Filtered => "filtered",
            Self::Mapped => "mapped",
            Self::Dropped => "dropped",
            Self::Published => "published",
            Self::Acknowledged => "acknowledged",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{DeliverError, DropReason};

    #[test]
    fn the_newest_of_each_kind_are_kept_in_their_order() {
        let journal = Journal::default();
        let address: Arc<str> = "a".into();
        for n in 0..25 {
            let about = About { correlation_id: Some(n.to_string().into()), entity: None };
            journal.of_signal(&address, &about, &Outcome::Published);
        }
        let failed = Outcome::Failed(DeliverError::address_unresolved("x"));
        journal.of_signal(&address, &About::default(), &failed);
        journal.of_connection(EntryLevel::Success, "opened".to_owned());
        let entries = journal.entries();
        assert_eq!(entries.len(), 4 * CAPACITY + 1 + 1);
        assert!(entries.is_sorted_by_key(|entry| entry.time));
        let published = entries.iter().filter(|entry| entry.step == Step::Published);
        let ids: Vec<_> = published.filter_map(|entry| entry.about.correlation_id.as_deref()).collect();
        assert_eq!(ids, ["15", "16", "17", "18", "19", "20", "21", "22", "23", "24"]);
        let failure = entries.iter().rfind(|entry| entry.step == Step::Published).unwrap();
        assert!(failure.message.starts_with("failed (address-unresolved)"), "{}", failure.message);
        journal.clear();
        assert_eq!(journal.entries(), []);
    }

    #[test]
    fn each_outcome_has_its_steps() {
        let names = |outcome: &Outcome| {
            let steps = steps(outcome).into_iter();
            steps.map(|(step, level)| format!("{} {}", step.name(), level.name())).collect::<Vec<_>>()
        };
        assert_eq!(
            names(&Outcome::Published),
            ["dispatched success", "filtered success", "mapped success", "published success"]
        );
        assert_eq!(names(&Outcome::Dropped(DropReason::Filtered)), ["dispatched success", "dropped success"]);
        assert_eq!(
            names(&Outcome::Dropped(DropReason::Unmapped)),
            ["dispatched success", "filtered success", "dropped success"]
        );
        assert_eq!(
            names(&Outcome::Failed(DeliverError::mapping(&"x"))),
            ["dispatched success", "filtered success", "other failure"]
        );
        assert_eq!(
            names(&Outcome::Failed(DeliverError::thing_absent())),
            ["dispatched success", "mapped failure"]
        );
    }
}
