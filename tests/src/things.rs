//! What directories know in tests.

use ditto_outbound::MemoryDirectory;
use serde_json::Value;

/// A directory that knows what the enrichment of a vector finds: nothing, if that takes too long.
pub fn enrichment(given: &Value) -> MemoryDirectory {
    let enrichment = &given["context"]["enrichment"];
    let directory = MemoryDirectory::default();
    if enrichment["error"] != "timeout" {
        let thing = enrichment.get("thing").map(Value::to_string);
        directory.tell("acme.plant:pump-7", thing.as_deref());
    }
    directory
}
