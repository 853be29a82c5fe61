//! How something stands, in the words of the reference (status-metrics-logs.md §1).

use std::fmt;
use std::time::SystemTime;

use ditto_kafka::{ConnectionState, ConnectionStatus};

use crate::error::Failure;

/// How something stands, in Ditto's word (`ConnectivityStatus`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The word.
    pub word: Word,
    /// Since when it has been so.
    pub since: Option<SystemTime>,
    /// Why, unless all is well.
    pub reason: Option<String>,
}

/// Ditto's words for how something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// It works.
    Open,
    /// Nothing has shown yet whether it works.
    Unknown,
    /// It does not work for now; nobody need do anything here.
    Failed,
    /// It does not work until somebody corrects a setting, here or at the brokers.
    Misconfigured,
    /// It is not to work.
    Closed,
}

impl Word {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Open, Self::Unknown, Self::Failed, Self::Misconfigured, Self::Closed];
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
            Self::Misconfigured => "misconfigured",
            Self::Closed => "closed",
        })
    }
}

impl Standing {
    pub(crate) fn failed(failure: &Failure, since: Option<SystemTime>) -> Self {
        let word = if failure.is_misconfigured { Word::Misconfigured } else { Word::Failed };
        Self { word, since, reason: Some(failure.reason.clone()) }
    }
}

/// A client by what is known of its connection.
pub(crate) fn of_state(state: &ConnectionState, servers: &[String]) -> Standing {
    let word = match state.status() {
        ConnectionStatus::Connected => Word::Open,
        ConnectionStatus::Failed => Word::Failed,
        ConnectionStatus::Misconfigured => Word::Misconfigured,
        _ => Word::Unknown,
    };
    let reason = state.last_error().map(|error| {
        let text = format!("{}: {}", error.code(), error.reason());
        if servers.is_empty() { text } else { format!("{text} (bootstrap servers: {})", servers.join(", ")) }
    });
    Standing { word, since: state.since(), reason }
}
