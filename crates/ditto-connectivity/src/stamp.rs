//! The command `stamp`: signals of a feed, with who may read them, into another one.

use std::fs::File;
use std::future::{Ready, ready};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::task::{Context, Poll};

use ditto_connection::Connection;
use ditto_outbound::{
    Completing, Completion, DeliverError, DeliverErrorKind, Delivered, Destined, Enqueued, Refusal,
    Undelivered,
};
use ditto_protocol::TargetTopic;
use serde_json::{Value, json};
use tower::Service;

use crate::config::StampConfig;

/// A connection to which everything goes that can go to a target. The key is the id of what a signal is about, so that
/// whoever reads it has the order per thing.
///
/// # Errors
/// Why signals cannot go there.
pub(crate) fn connection(to: &StampConfig) -> Result<Connection, String> {
    let topic = match to {
        StampConfig::Topic(topic) => topic.as_str(),
        // Lines have no topic; the definition needs one.
        StampConfig::Lines(_) => "lines",
    };
    let definition = json!({
        "id": "ditto-connectivity-stamp", "connectionType": "kafka", "connectionStatus": "open",
        // Its cluster is that of the feed.
        "uri": "tcp://localhost:9092", "specificConfig": {"bootstrapServers": "localhost:9092"},
        "targets": [{
            "address": format!("{topic}/{{{{ entity:id | fn:default(topic:entityName) }}}}"),
            "topics": TargetTopic::ALL.map(TargetTopic::as_str),
            // Nobody: whoever may read is said in headers.
            "authorizationContext": ["ditto-connectivity:stamp"],
        }],
    });
    Connection::from_json(&definition.to_string()).map_err(|report| {
        let findings: Vec<_> = report.findings().iter().map(|finding| finding.reason.as_str()).collect();
        format!("stamp.topic `{topic}`: {}", findings.join("; "))
    })
}

/// Writes records as lines that an NDJSON feed reads: `{key, headers: [[name, value], …], value}`.
pub(crate) struct LinesLeaf {
    out: BufWriter<Box<dyn Write + Send>>,
    /// Those of which nothing was said yet.
    written: Vec<Completion>,
}

impl LinesLeaf {
    /// Makes the file anew; `-` is stdout.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let out: Box<dyn Write + Send> =
            if path == Path::new("-") { Box::new(io::stdout()) } else { Box::new(File::create(path)?) };
        Ok(Self { out: BufWriter::new(out), written: Vec::new() })
    }

    fn write(&mut self, record: &Destined) -> io::Result<()> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = record.headers.iter();
        let headers: Vec<Value> = headers.map(|(name, value)| json!([name.as_str(), text(value)])).collect();
        let line = json!({
            "key": record.destination.key.as_deref().map(text), "headers": headers, "value": text(&record.payload),
        });
        writeln!(self.out, "{line}")
    }
}

fn not_written(error: &io::Error) -> DeliverError {
    DeliverError::new(DeliverErrorKind::Connection(Refusal { retriable: false }), error.to_string())
}

impl Service<Destined> for LinesLeaf {
    type Response = Enqueued;
    type Error = DeliverError;
    type Future = Ready<Result<Enqueued, DeliverError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DeliverError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, record: Destined) -> Self::Future {
        ready(Ok(match self.write(&record) {
            Ok(()) => {
                self.written.push(Completion { token: record.token, result: Ok(Delivered::default()) });
                Enqueued::Queued(record.into_written())
            }
            Err(error) => Enqueued::Refused(Undelivered { error: not_written(&error), record: None }),
        }))
    }
}

impl Completing for LinesLeaf {
    fn poll_completions(&mut self, _: &mut Context<'_>, completions: &mut Vec<Completion>) -> Poll<()> {
        if self.written.is_empty() {
            return Poll::Pending;
        }
        // What is not out is not written.
        let flushed = self.out.flush();
        completions.extend(self.written.drain(..).map(|completion| match &flushed {
            Ok(()) => completion,
            Err(error) => Completion {
                result: Err(Undelivered { error: not_written(error), record: None }),
                ..completion
            },
        }));
        Poll::Ready(())
    }

    fn take_back(&mut self) {}

    fn trouble(&self) -> Option<DeliverError> {
        None
    }
}
