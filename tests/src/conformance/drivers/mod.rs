//! One driver per vector file: a row in, our answer in the shape of the row's `expect` out.

mod entity_ids;
mod kafka_addresses;
mod placeholders;
mod policies;
mod protocol;
mod rql;
mod topicpath;
mod topics;

use ditto_protocol::ProtocolError;
use serde_json::{Value, json};

use super::Rules;

/// Answers the rows of one file.
#[derive(Debug)]
pub struct Driver {
    /// File name without `.ndjson`.
    pub file: &'static str,
    /// How answers are compared.
    pub rules: Rules,
    /// A row to our answer. It must not look at what the row expects.
    pub run: fn(&Value) -> Value,
}

pub(super) const DRIVERS: [Driver; 8] = [
    Driver { file: "protocol", rules: Rules { informative: &["class"] }, run: protocol::run },
    Driver { file: "topicpath", rules: Rules { informative: &[] }, run: topicpath::run },
    Driver { file: "entity-ids", rules: Rules { informative: &[] }, run: entity_ids::run },
    Driver { file: "placeholders", rules: Rules { informative: &[] }, run: placeholders::run },
    Driver { file: "kafka-addresses", rules: Rules { informative: &[] }, run: kafka_addresses::run },
    Driver {
        file: "policies",
        rules: Rules { informative: &["trieUnrestricted", "triePartial"] },
        run: policies::run,
    },
    Driver { file: "rql", rules: Rules { informative: &[] }, run: rql::run },
    Driver { file: "topics", rules: Rules { informative: &[] }, run: topics::run },
];

fn error(error: &ProtocolError) -> Value {
    json!({ "error": { "code": error.code().name(), "status": error.status() } })
}
