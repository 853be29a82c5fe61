//! Signals from lines of JSON, on stdin or in a file.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use bytes::Bytes;
use ditto_json::{JsonKind, RawObject, decode_string};
use ditto_outbound::{Feed, FeedRecord, Origin, Payload};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::lines::{Line, read_line};

/// Lines of JSON as feed. It cannot be replayed: a ticket says nothing.
///
/// A line is a Ditto Protocol message, or a record as console consumers and our corpus write it: an object without
/// `path`, the message as text in `value`, and record headers as pairs in `headers`.
pub(crate) struct NdjsonFeed {
    batches: mpsc::Receiver<io::Result<Vec<FeedRecord<()>>>>,
    failure: Option<io::Error>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Records that are handed over at once, and such batches that wait.
const BATCH: usize = 128;
const BATCHES: usize = 4;

/// What lines are read from.
pub(crate) type Input = BufReader<Box<dyn Read + Send>>;

/// Opens a file, or stdin for `-`.
pub(crate) fn open_input(path: &Path) -> io::Result<Input> {
    if path == Path::new("-") {
        return Ok(BufReader::new(Box::new(io::stdin())));
    }
    Ok(BufReader::with_capacity(64 << 10, Box::new(File::open(path)?)))
}

impl NdjsonFeed {
    /// Reads in a thread of its own, since files and stdin block.
    pub(crate) fn start(input: Input, max_bytes: usize, stop: CancellationToken) -> io::Result<Self> {
        let (sender, batches) = mpsc::channel(BATCHES);
        thread::Builder::new().name("ndjson-feed".to_owned()).spawn(move || {
            if let Err(error) = read(input, max_bytes, &sender) {
                // Who reads it may have gone.
                let _sent = sender.blocking_send(Err(error));
            }
        })?;
        Ok(Self { batches, failure: None, stop: Box::pin(stop.cancelled_owned()) })
    }

    /// Why it ended before the end of the input.
    pub(crate) fn failure(self) -> io::Result<()> {
        self.failure.map_or(Ok(()), Err)
    }
}

impl Feed for NdjsonFeed {
    const CAN_REPLAY: bool = false;
    type Ticket = ();

    fn poll_records(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<FeedRecord<()>>>> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        self.batches.poll_recv(cx).map(|batch| match batch? {
            Ok(records) => Some(records),
            Err(error) => {
                self.failure = Some(error);
                None
            }
        })
    }

    fn settle(&mut self, tickets: &mut Vec<()>) {
        tickets.clear();
    }
}

fn read(
    mut input: Input,
    max_bytes: usize,
    batches: &mpsc::Sender<io::Result<Vec<FeedRecord<()>>>>,
) -> io::Result<()> {
    let mut batch = Vec::new();
    // A record around a message takes quotes and escapes: twice its size in the worst case that makes sense.
    let max_line = max_bytes.saturating_mul(2).saturating_add(64 << 10);
    loop {
        let line = read_line(&mut input, max_line)?;
        let is_end = line.is_none();
        batch.extend(line.map(|line| record(line, max_bytes)));
        // A line that somebody types is passed on at once.
        let is_due = batch.len() >= BATCH || is_end || input.buffer().is_empty();
        if is_due && !batch.is_empty() && batches.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
            return Ok(());
        }
        if is_end {
            return Ok(());
        }
    }
}

/// A line as record of the feed.
pub(crate) fn record(line: Line, max_bytes: usize) -> FeedRecord<()> {
    let (payload, headers) = match line {
        Line::TooLong(bytes) => (Payload::Oversized(bytes), Vec::new()),
        Line::Bytes(line) => match recorded(&line) {
            Some((text, headers)) => (Payload::Text(text), headers),
            None => (Payload::Text(line.into()), Vec::new()),
        },
    };
    let payload = match payload {
        Payload::Text(text) if text.len() > max_bytes => Payload::Oversized(text.len()),
        Payload::Text(text) if text.is_empty() => Payload::Empty,
        other => other,
    };
    FeedRecord { payload, headers, timestamp_ms: None, ticket: (), origin: Origin::default() }
}

type RecordHeaders = Vec<(Bytes, Bytes)>;

/// Message and headers of a recorded record; `None` for anything else.
fn recorded(line: &[u8]) -> Option<(Bytes, RecordHeaders)> {
    // What stands in an object is only looked for in what is one.
    let text = std::str::from_utf8(line).ok()?;
    serde_json::from_str::<&serde_json::value::RawValue>(text).ok()?;
    if JsonKind::of(text.trim()) != JsonKind::Object {
        return None;
    }
    let (mut value, mut headers) = (None, None);
    for (name, raw) in RawObject::new(text.trim()) {
        match name.as_ref() {
            "path" => return None,
            "value" => value = Some(raw),
            "headers" => headers = Some(raw),
            _ => {}
        }
    }
    let value = value.filter(|value| JsonKind::of(value) == JsonKind::String)?;
    let headers: Vec<(String, String)> =
        headers.map_or(Some(Vec::new()), |raw| serde_json::from_str(raw).ok())?;
    let headers = headers.into_iter().map(|(name, value)| (Bytes::from(name), Bytes::from(value)));
    Some((Bytes::from(decode_string(value)?.into_owned()), headers.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &'static str, max_bytes: usize) -> Vec<FeedRecord<()>> {
        let (sender, mut batches) = mpsc::channel(100);
        read(BufReader::new(Box::new(text.as_bytes())), max_bytes, &sender).unwrap();
        drop(sender);
        std::iter::from_fn(|| batches.blocking_recv()).flatten().flatten().collect()
    }

    #[test]
    fn messages_and_recorded_records() {
        let message = r#"{"topic":"a/b/things/twin/events/modified","path":"/","headers":{},"value":"x"}"#;
        let recorded = r#"{"key":"k","headers":[["ditto-origin","c"]],"value":"{\"topic\":\"\u00e4\"}"}"#;
        let text = format!("{message}\n\n{recorded}\nno json\n{}", "x".repeat(200_000)).leak();
        let records = read_all(text, 1_000);
        let payloads: Vec<_> = records.iter().map(|record| record.payload.clone()).collect();
        let expected = [
            Payload::Text(message.into()),
            Payload::Empty,
            Payload::Text(r#"{"topic":"ä"}"#.into()),
            Payload::Text("no json".into()),
            Payload::Oversized(200_000),
        ];
        assert_eq!(payloads, expected);
        assert_eq!(records[2].headers, [(Bytes::from("ditto-origin"), Bytes::from("c"))]);
    }
}
