//! What a campaign lets the service do: which signals it writes, and what must come out of them.

use std::fmt;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::service::Setup;
use crate::topics::{Consumed, Written};

pub(super) const CONNECTION: &str = "campaign";
pub(super) const READER: &str = "campaign:reader";

/// A signal of a thing: the n-th one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Signal {
    pub(super) thing: usize,
    pub(super) revision: u64,
}

impl Signal {
    pub(super) fn thing_id(self) -> String {
        format!("org.campaign:thing-{}", self.thing)
    }

    pub(super) fn correlation_id(self) -> String {
        format!("c-{}-{}", self.thing, self.revision)
    }

    pub(super) fn of_correlation_id(text: &str) -> Option<Self> {
        let (thing, revision) = text.strip_prefix("c-")?.split_once('-')?;
        Some(Self { thing: thing.parse().ok()?, revision: revision.parse().ok()? })
    }
}

/// One connection with some targets. Everything is written down from the specification; nothing of the pipeline's code is used.
pub(super) trait Work: fmt::Debug + Send + Sync {
    /// A name for each target, in the order of the definition. Each has a topic of its own.
    fn targets(&self) -> &'static [&'static str];

    /// Completes the definition of the connection.
    fn define(&self, name: &str, definition: &mut Value);

    /// Writes files that the service needs beside it, and says what its configuration has for them.
    fn furnish(&self, _setup: &Setup) -> anyhow::Result<String> {
        Ok(String::new())
    }

    /// The record of the feed.
    fn record(&self, signal: Signal) -> Written;

    /// What becomes of a signal at a target.
    fn fate(&self, target: usize, signal: Signal) -> Fate;

    /// What dead letters must say of a signal: one for each target that it fails at. Without a word of them there is no
    /// topic for dead letters.
    fn letters(&self, _signal: Signal) -> Option<Vec<Letter>> {
        None
    }

    /// Which of the records of its signal one is.
    fn part(&self, _record: &Consumed) -> usize {
        0
    }

    /// Whether a target spreads the records of a thing over partitions.
    fn spreads(&self, target: usize) -> bool;

    /// The most records that a signal has at a target.
    fn records_of_a_signal(&self, _target: usize) -> usize {
        1
    }
}

/// What becomes of a signal at a target.
#[derive(Debug, PartialEq)]
pub(super) enum Fate {
    /// The target is not for it, or nobody who has the target may read it.
    Unselected,
    /// Nothing comes out on purpose, for this reason.
    Dropped(&'static str),
    /// Nothing comes out, for this reason, but a dead letter if there is a topic for them.
    Failed(&'static str),
    /// These records come out, in this order.
    Published(Vec<Due>),
}

/// What is kept of a signal that fails at a target.
#[derive(Debug, PartialEq)]
pub(super) struct Letter {
    pub(super) target: usize,
    pub(super) reason: &'static str,
    /// The signal as the target sees it, without extra fields.
    pub(super) payload: Payload,
}

impl Letter {
    /// What is not as it is due in a letter of this signal and target.
    pub(super) fn difference(&self, signal: Signal, record: &Consumed) -> Option<&'static str> {
        let has = |name: &str, text: &str| record.header(name) == text;
        let checks = [
            (record.key_text() == signal.thing_id(), "key"),
            (has("ditto-dead-letter-reason", self.reason), "reason"),
            (has("ditto-connection-id", CONNECTION), "connection"),
            (has("ditto-dead-letter-attempt", "1"), "attempt"),
            (!record.header("ditto-dead-letter-error").is_empty(), "error"),
            (!record.header("ditto-dead-letter-feed-offset").is_empty(), "place in the feed"),
            (record.value.as_deref().is_some_and(|value| self.payload.is(value)), "payload"),
        ];
        checks.into_iter().find(|(is_equal, _)| !is_equal).map(|(_, what)| what)
    }
}

impl Fate {
    pub(super) fn records(self) -> Vec<Due> {
        if let Self::Published(records) = self { records } else { Vec::new() }
    }
}

/// A record that must come out of a signal.
#[derive(Debug, PartialEq)]
pub(super) struct Due {
    pub(super) key: Option<String>,
    /// Where the address says it.
    pub(super) partition: Option<i32>,
    pub(super) headers: Vec<(String, String)>,
    /// Whether they stand in this order. The specification leaves it open (outbound.md §4.3).
    pub(super) has_order: bool,
    pub(super) payload: Payload,
}

/// What stands in a record.
#[derive(Debug, PartialEq)]
pub(super) enum Payload {
    /// These bytes.
    Text(String),
    /// JSON that is equal to this, whatever the order of members: the specification leaves it open.
    Json {
        value: Value,
        /// Texts that stand in it byte for byte, by the names on the way to them.
        verbatim: Vec<(Vec<&'static str>, String)>,
        /// A member of the root that is the time of writing, and so is not in `value`.
        now: Option<&'static str>,
    },
}

impl Due {
    /// What is not as it is due: `None` if all is.
    pub(super) fn difference(&self, record: &Consumed) -> Option<&'static str> {
        let mut headers: Vec<(String, String)> = record
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
            .collect();
        let mut due = self.headers.clone();
        if !self.has_order {
            headers.sort();
            due.sort();
        }
        let is_key = self.key.as_ref().map(String::as_bytes) == record.key.as_deref();
        let is_partition = self.partition.is_none_or(|partition| partition == record.partition);
        let checks = [
            (is_key, "key"),
            (is_partition, "partition"),
            (due == headers, "headers"),
            (record.value.as_deref().is_some_and(|value| self.payload.is(value)), "payload"),
        ];
        checks.into_iter().find(|(is_equal, _)| !is_equal).map(|(_, what)| what)
    }
}

impl Payload {
    /// JSON whose members may stand in any order.
    pub(super) fn json(value: Value) -> Self {
        Self::Json { value, verbatim: Vec::new(), now: None }
    }

    fn is(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Text(text) => text.as_bytes() == bytes,
            Self::Json { value, verbatim, now } => {
                let Ok(mut found) = serde_json::from_slice::<Value>(bytes) else { return false };
                let time = now.map(|now| found.as_object_mut().and_then(|found| found.remove(now)));
                let is_time = |time: Option<Value>| {
                    let time = time.and_then(|time| time.as_str()?.parse::<jiff::Timestamp>().ok());
                    // Nobody knows when it was written, but it was since the driver began.
                    time.is_some_and(|time| (jiff::Timestamp::now().duration_since(time)).as_hours() < 2)
                };
                found == *value
                    && time.is_none_or(is_time)
                    && verbatim.iter().all(|(way, text)| raw(bytes, way).as_deref() == Some(text))
            }
        }
    }
}

/// The text of a member as it stands.
fn raw(bytes: &[u8], way: &[&str]) -> Option<String> {
    let mut text = Box::<str>::from(std::str::from_utf8(bytes).ok()?);
    for name in way {
        let members: std::collections::HashMap<String, Box<RawValue>> = serde_json::from_str(&text).ok()?;
        text = members.get(*name)?.get().into();
    }
    Some(text.into())
}
