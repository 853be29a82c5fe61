//! The log of a connection as it is answered (status-metrics-logs.md §5).

use ditto_outbound::Entry;
use serde_json::{Map, Value};

use super::instant;

/// The longest log that is answered, in characters: the newest entries count.
const MAX_LENGTH: usize = 250_000;

/// Entries as they are answered, the oldest first.
pub(super) fn to_json(entries: Vec<Entry>) -> Vec<Value> {
    let (mut shown, mut length) = (Vec::new(), 0);
    for entry in entries.into_iter().rev().map(entry) {
        length += entry.to_string().len();
        if length > MAX_LENGTH {
            break;
        }
        shown.push(entry);
    }
    shown.reverse();
    shown
}

fn entry(entry: Entry) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: &str| members.insert(name.to_owned(), value.into());
    put("correlationId", entry.about.correlation_id.as_deref().unwrap_or("<not-provided>"));
    put("timestamp", &instant(entry.time));
    put("category", entry.category.name());
    put("type", entry.step.name());
    put("level", entry.level.name());
    put("message", &entry.message);
    if let Some(address) = &entry.address {
        put("address", address);
    }
    if let Some((kind, id)) = &entry.about.entity {
        put("entityType", kind);
        put("entityId", id);
    }
    members.into()
}
