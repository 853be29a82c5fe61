//! What directories know in tests, and what comes to connections.

use bytes::Bytes;
use ditto_outbound::MemoryDirectory;
use serde_json::Value;

/// A directory that knows what the enrichment of a vector finds: nothing, if that takes too long.
pub fn enrichment(given: &Value) -> MemoryDirectory {
    let enrichment = &given["context"]["enrichment"];
    let directory = MemoryDirectory::default();
    if enrichment["error"] != "timeout" {
        let thing = match enrichment.get("error") {
            Some(_) => None,
            None => Some(enrichment.get("thing").map_or_else(|| "{}".to_owned(), Value::to_string)),
        };
        for signal in signals(given) {
            let mut topic = signal["ditto"]["topic"].as_str().unwrap_or_default().split('/');
            if let (Some(namespace), Some(name)) = (topic.next(), topic.next()) {
                directory.tell(&format!("{namespace}:{name}"), thing.as_deref());
            }
        }
    }
    directory
}

/// The signals that a vector feeds to its connection.
pub fn signals(given: &Value) -> Vec<Value> {
    given["signals"].as_array().cloned().unwrap_or_else(|| vec![given["signal"].clone()])
}

/// A record of a trusted feed: a message of the Ditto Protocol with the cluster's headers as record headers.
pub fn fed(signal: &Value) -> (Bytes, Vec<(Bytes, Bytes)>) {
    let internal = signal["internalHeaders"].as_object().cloned().unwrap_or_default();
    let headers = internal
        .into_iter()
        .map(|(name, value)| (Bytes::from(name), Bytes::from(value.as_str().unwrap_or_default().to_owned())));
    (Bytes::from(signal["ditto"].to_string()), headers.collect())
}
