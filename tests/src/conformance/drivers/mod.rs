//! One driver per vector file: a row in, our answer in the shape of the row's `expect` out.

mod connections;
mod entity_ids;
mod http;
mod kafka_addresses;
mod mapping;
mod outbound;
mod placeholders;
mod policies;
mod protocol;
mod rql;
mod topicpath;
mod topics;

use ditto_protocol::ProtocolError;
use serde_json::{Value, json};

use super::{Rules, compare, exchange};

/// Answers the rows of one file.
#[derive(Debug)]
pub struct Driver {
    /// File name without `.ndjson`.
    pub file: &'static str,
    /// How answers are compared.
    pub rules: Rules,
    /// A row to our answer. It must not look at what the row expects.
    pub run: fn(&Value) -> Value,
    /// Cuts expectation and answer down to what the rules compare, where that is more than leaving members out.
    pub settle: Option<fn(&mut Value, &mut Value)>,
}

impl Driver {
    /// All differences between an expectation and an answer.
    pub fn findings(&self, expected: &Value, answer: &Value) -> Vec<String> {
        let (mut expected, mut answer) = (expected.clone(), answer.clone());
        if let Some(settle) = self.settle {
            settle(&mut expected, &mut answer);
        }
        compare(&expected, &answer, self.rules)
    }
}

const fn driver(
    file: &'static str,
    informative: &'static [&'static str],
    run: fn(&Value) -> Value,
) -> Driver {
    Driver { file, rules: Rules { informative }, run, settle: None }
}

pub(super) const DRIVERS: [Driver; 17] = [
    driver("protocol", &["class"], protocol::run),
    driver("topicpath", &[], topicpath::run),
    driver("entity-ids", &[], entity_ids::run),
    driver("placeholders", &[], placeholders::run),
    driver("kafka-addresses", &[], kafka_addresses::run),
    driver("policies", &["trieUnrestricted", "triePartial"], policies::run),
    driver("rql", &[], rql::run),
    driver("topics", &[], topics::run),
    Driver { settle: Some(connections::settle), ..driver("connections", &["field"], connections::run) },
    Driver { settle: Some(exchange::settle), ..driver("http", &[], http::run_http) },
    Driver { settle: Some(exchange::settle), ..driver("piggyback", &[], http::run_piggyback) },
    driver("mapping", &[], mapping::run),
    driver("mapping-js", &[], mapping::run),
    driver("mapping-other", &[], mapping::run),
    published("headers"),
    published("outbound"),
    published("acks"),
];

/// A driver of rows that are whole connections.
const fn published(file: &'static str) -> Driver {
    Driver { settle: Some(outbound::settle), ..driver(file, &["logs", "connectionFailures"], outbound::run) }
}

fn error(error: &ProtocolError) -> Value {
    json!({ "error": { "code": error.code().name(), "status": error.status() } })
}
