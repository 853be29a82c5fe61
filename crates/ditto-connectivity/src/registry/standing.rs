//! How a connection stands, beside how it is to.

use std::fmt;
use std::time::SystemTime;

use ditto_connection::{Connection, ConnectionStatus, Source};

use crate::connecting::NOT_CONSUMED;
use crate::standing::{Standing, Word};

/// How a connection stands (status-metrics-logs.md §1), from facts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStanding {
    /// The status that it is to have.
    pub desired: ConnectionStatus,
    /// The word for all of it.
    pub live: Word,
    /// What becomes of it.
    pub recovery: Recovery,
    /// Since when it has been connected.
    pub connected_since: Option<SystemTime>,
    /// Its client: there is one.
    pub client: Standing,
    /// Each source address that the reference has consumers for, once for each of them, and how it stands: closed, since nothing
    /// consumes it here.
    pub sources: Vec<(String, Standing)>,
    /// Each target address, and how it stands.
    pub targets: Vec<(String, Standing)>,
}

/// What becomes of a connection that does not work (`RecoveryStatus` of the reference).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It is tried on.
    Ongoing,
    /// It works.
    Succeeded,
    /// It is not to work, or nothing is known yet.
    Unknown,
}

impl Recovery {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ongoing, Self::Succeeded, Self::Unknown];
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ongoing => "ongoing",
            Self::Succeeded => "succeeded",
            Self::Unknown => "unknown",
        })
    }
}

impl ConnectionStanding {
    /// Of a connection by its client and its targets, in the order of its definition.
    pub(super) fn of(connection: &Connection, client: Standing, targets: Vec<Standing>) -> Self {
        let addresses = connection.targets().iter().map(|it| it.address().to_string());
        let closed = Standing { word: Word::Closed, since: None, reason: Some(NOT_CONSUMED.to_owned()) };
        let consumers = |source: &Source| {
            let count = usize::try_from(source.consumer_count()).unwrap_or_default();
            source
                .addresses()
                .iter()
                .flat_map(move |address| std::iter::repeat_n(address.clone(), count))
                .collect::<Vec<_>>()
        };
        let sources = connection.sources().iter().flat_map(consumers);
        let recovery = match client.word {
            Word::Open => Recovery::Succeeded,
            Word::Failed | Word::Misconfigured => Recovery::Ongoing,
            Word::Unknown | Word::Closed => Recovery::Unknown,
        };
        Self {
            desired: connection.status(),
            live: live(client.word, &targets),
            recovery,
            connected_since: client.since.filter(|_| client.word == Word::Open),
            sources: sources.map(|address| (address, closed.clone())).collect(),
            targets: addresses.zip(targets).collect(),
            client,
        }
    }

    /// Why it does not work: the client's reason, or that of the first target that has one.
    pub(crate) fn reason(&self) -> Option<&str> {
        let of_targets = self.targets.iter().find_map(|(_, target)| target.reason.as_deref());
        self.client.reason.as_deref().or(of_targets)
    }

    /// Of a connection that does not run, since then. It is to be closed, whatever else its definition says.
    pub(super) fn closed(connection: &Connection, since: SystemTime) -> Self {
        let closed = Standing { word: Word::Closed, since: Some(since), reason: None };
        let mut standing = Self::of(connection, closed, Vec::new());
        standing.sources.clear();
        Self { desired: ConnectionStatus::Closed, ..standing }
    }
}

/// The word over all groups (status-metrics-logs.md §1).
fn live(client: Word, targets: &[Standing]) -> Word {
    let has = |word| client == word || targets.iter().any(|it| it.word == word);
    [Word::Failed, Word::Misconfigured].into_iter().find(|word| has(*word)).unwrap_or(client)
}
