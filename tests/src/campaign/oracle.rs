//! What must come out of each signal, written from the specification (outbound.md §4.1, §4.3, §6.2).

use serde_json::{Value, json};

pub(super) const CONNECTION: &str = "campaign";
pub(super) const READER: &str = "campaign:reader";

/// A form of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Key,
    Partition,
    Bare,
}

pub(super) const TARGETS: [Target; 3] = [Target::Key, Target::Partition, Target::Bare];

impl Target {
    pub(super) fn topic(self, name: &str) -> String {
        let form = match self {
            Self::Key => "key",
            Self::Partition => "partition",
            Self::Bare => "bare",
        };
        format!("{name}-{form}")
    }

    pub(super) fn address(self, name: &str) -> String {
        let rest = match self {
            Self::Key => "/{{ thing:id }}",
            Self::Partition => "#1",
            Self::Bare => "",
        };
        format!("{}{rest}", self.topic(name))
    }
}

/// A signal of a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Signal {
    pub(super) thing: usize,
    pub(super) revision: u64,
}

/// A record that must come out of a signal.
#[derive(Debug, PartialEq)]
pub(super) struct Due {
    pub(super) key: Option<String>,
    /// Where the address says it.
    pub(super) partition: Option<i32>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) value: Value,
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

    /// Whether the connection's subject may read it: not every seventh one.
    pub(super) fn is_readable(self) -> bool {
        !self.revision.is_multiple_of(7)
    }

    fn body(self, seed: u64) -> Value {
        // Of different sizes, and no two alike.
        let padding = "x".repeat((self.revision % 97) as usize * 7);
        json!({"seed": seed, "thing": self.thing, "revision": self.revision, "padding": padding})
    }

    /// The message as it stands in the feed.
    pub(super) fn message(self, seed: u64) -> String {
        let reader = if self.is_readable() { READER } else { "campaign:nobody" };
        json!({
            "topic": format!("org.campaign/thing-{}/things/twin/events/modified", self.thing),
            "headers": {"correlation-id": self.correlation_id(), "ditto-read-subjects": [reader]},
            "path": "/attributes/campaign", "value": self.body(seed), "revision": self.revision,
        })
        .to_string()
    }

    /// The record that must come out for a target.
    pub(super) fn due(self, seed: u64, target: Target) -> Due {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Due {
            key: (target == Target::Key).then(|| self.thing_id()),
            partition: (target == Target::Partition).then_some(1),
            headers: vec![
                header("content-type", "application/vnd.eclipse.ditto+json"),
                header("correlation-id", &self.correlation_id()),
                header("ditto-connection-id", CONNECTION),
            ],
            value: json!({
                "topic": format!("org.campaign/thing-{}/things/twin/events/modified", self.thing),
                "headers": {
                    "correlation-id": self.correlation_id(), "response-required": false,
                    "entity-revision": self.revision, "content-type": "application/json",
                },
                "path": "/attributes/campaign", "value": self.body(seed), "revision": self.revision,
            }),
        }
    }
}
