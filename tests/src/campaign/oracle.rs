//! What must come out of the events of a plain campaign (outbound.md §4.1, §4.3, §6.2).

use serde_json::{Value, json};

use super::work::{CONNECTION, Due, Fate, Payload, READER, Signal, Work};
use crate::topics::Written;

/// Events of one kind, and targets that publish them as they are: one with a key, one with a partition, one with neither.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) seed: u64,
}

const KEY: usize = 0;
const PARTITION: usize = 1;
const BARE: usize = 2;

/// Whether the connection's subject may read it: not every seventh one.
fn is_readable(signal: Signal) -> bool {
    !signal.revision.is_multiple_of(7)
}

fn topic_path(signal: Signal) -> String {
    format!("org.campaign/thing-{}/things/twin/events/modified", signal.thing)
}

impl Plain {
    fn body(&self, signal: Signal) -> Value {
        // Of different sizes, and no two alike.
        let padding = "x".repeat((signal.revision % 97) as usize * 7);
        json!({"seed": self.seed, "thing": signal.thing, "revision": signal.revision, "padding": padding})
    }

    pub(super) fn due(&self, target: usize, signal: Signal) -> Due {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Due {
            key: (target == KEY).then(|| signal.thing_id()),
            partition: (target == PARTITION).then_some(1),
            headers: vec![
                header("content-type", "application/vnd.eclipse.ditto+json"),
                header("correlation-id", &signal.correlation_id()),
                header("ditto-connection-id", CONNECTION),
            ],
            has_order: true,
            payload: Payload::json(json!({
                "topic": topic_path(signal),
                "headers": {
                    "correlation-id": signal.correlation_id(), "response-required": false,
                    "entity-revision": signal.revision, "content-type": "application/json",
                },
                "path": "/attributes/campaign", "value": self.body(signal), "revision": signal.revision,
            })),
        }
    }
}

impl Work for Plain {
    fn targets(&self) -> &'static [&'static str] {
        &["key", "partition", "bare"]
    }

    fn define(&self, name: &str, definition: &mut Value) {
        let targets = self.targets().iter().zip(["/{{ thing:id }}", "#1", ""]).map(|(target, rest)| {
            json!({
                "address": format!("{name}-{target}{rest}"), "topics": ["_/_/things/twin/events"],
                "authorizationContext": [READER],
            })
        });
        definition["targets"] = targets.collect();
    }

    fn record(&self, signal: Signal) -> Written {
        let reader = if is_readable(signal) { READER } else { "campaign:nobody" };
        let message = json!({
            "topic": topic_path(signal),
            "headers": {"correlation-id": signal.correlation_id(), "ditto-read-subjects": [reader]},
            "path": "/attributes/campaign", "value": self.body(signal), "revision": signal.revision,
        });
        Written { key: Some(signal.thing_id().into_bytes()), ..Written::of(message.to_string()) }
    }

    fn fate(&self, target: usize, signal: Signal) -> Fate {
        if is_readable(signal) { Fate::Published(vec![self.due(target, signal)]) } else { Fate::Unselected }
    }

    fn spreads(&self, target: usize) -> bool {
        // After a crash its turns begin elsewhere.
        target == BARE
    }
}
