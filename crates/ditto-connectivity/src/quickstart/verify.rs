//! Whether exactly the records came back that were due.

use std::collections::BTreeMap;

use ditto_kafka::StoredRecord;
use serde_json::Value;

use super::fleet::Due;

/// Compares records with what was due; each difference in a sentence.
pub(super) fn differences(due: &[Due], records: &[StoredRecord]) -> Vec<String> {
    let mut differences = Vec::new();
    // One signal gives a topic at most one record, and each signal has its own correlation id.
    let mut wanted: BTreeMap<(&str, &str), &Due> = due.iter().map(|due| (identity_of(due), due)).collect();
    let mut per_partition: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    for stored in records {
        let record = &stored.record;
        let partition = record.partition.unwrap_or_default();
        *per_partition.entry((&record.topic, partition)).or_default() += 1;
        let place = format!("{}[{partition}]@{}", record.topic, stored.offset);
        let id = header(record, "correlation-id");
        match wanted.remove(&(record.topic.as_str(), id)) {
            Some(due) => compare(&place, due, stored, &mut differences),
            None => differences.push(format!("{place}: not due, or twice")),
        }
    }
    differences.extend(wanted.keys().map(|(topic, id)| format!("{topic}: {id} was due and did not come")));
    let bare: Vec<usize> =
        (0..3).filter_map(|partition| per_partition.get(&("telemetry", partition)).copied()).collect();
    let (least, most) = (bare.iter().min().copied().unwrap_or(0), bare.iter().max().copied().unwrap_or(0));
    if bare.len() < 3 || most - least > 1 {
        differences.push(format!("telemetry: partitions got {bare:?} records, not every third each"));
    }
    differences
}

fn identity_of(due: &Due) -> (&str, &str) {
    let id = due.headers.iter().find(|(name, _)| *name == "correlation-id").map_or("", |(_, id)| id);
    (due.topic, id)
}

fn header<'r>(record: &'r ditto_kafka::OwnedRecord, name: &str) -> &'r str {
    let found = record.headers.iter().find(|(known, _)| known == name);
    found.and_then(|(_, value)| std::str::from_utf8(value).ok()).unwrap_or_default()
}

fn compare(place: &str, due: &Due, stored: &StoredRecord, differences: &mut Vec<String>) {
    let record = &stored.record;
    let mut differ = |what: &str, expected: String, got: String| {
        if expected != got {
            differences.push(format!("{place}: {what} {expected} was due, {got} came"));
        }
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    differ("key", format!("{:?}", due.key), format!("{:?}", record.key.as_deref().map(text)));
    if due.partition.is_some() {
        differ("partition", format!("{:?}", due.partition), format!("{:?}", record.partition));
    }
    let headers: Vec<_> = record.headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
    differ("headers", format!("{:?}", due.headers), format!("{headers:?}"));
    let payload = record.payload.as_deref().unwrap_or_default();
    let value: Value = serde_json::from_slice(payload).unwrap_or_default();
    if value != due.value {
        differ("value", due.value.to_string(), text(payload));
    }
}
