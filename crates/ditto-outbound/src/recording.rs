//! Feed, leaf and sink for tests: everything is kept and can be asked for.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use ditto_protocol::Acknowledgements;
use tower::Service;

use crate::acknowledge::AcknowledgementSink;
use crate::feed::{Feed, FeedRecord, Origin, Payload};
use crate::leaf::{Completing, Completion, Delivered, Destined, Enqueued, Undelivered};
use crate::outcome::{DeliverError, DeliverErrorKind, Refusal};

/// How a [`RecordingLeaf`] answers a record.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It is written there.
    Deliver(Delivered),
    /// It is taken and fails later.
    Fail(DeliverError),
    /// The call itself fails.
    Refuse(DeliverError),
    /// It is taken and nothing is ever heard of it, unless it is taken back.
    Silence,
}

/// A record that a [`RecordingLeaf`] has written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the record")]
pub struct Sent {
    pub topic: String,
    pub key: Option<String>,
    pub partition: Option<i32>,
    pub headers: Vec<(String, String)>,
    pub payload: Bytes,
}

/// A leaf that keeps what it is given. Clones share what they keep.
#[derive(Clone)]
pub struct RecordingLeaf {
    state: Arc<Mutex<State>>,
}

struct State {
    answer: Box<dyn FnMut(&Destined) -> Answer + Send>,
    sent: Vec<Sent>,
    due: Vec<Completion>,
    /// Those of which nothing is heard, in case that they are taken back.
    silent: Vec<Completion>,
    window: usize,
    /// Decides which completion comes next, and when none comes yet.
    seed: u64,
}

impl Default for RecordingLeaf {
    fn default() -> Self {
        Self::new(|_| Answer::Deliver(Delivered::default()))
    }
}

impl RecordingLeaf {
    /// A leaf with these answers.
    pub fn new(answer: impl FnMut(&Destined) -> Answer + Send + 'static) -> Self {
        let state = State {
            answer: Box::new(answer),
            sent: Vec::new(),
            due: Vec::new(),
            silent: Vec::new(),
            window: usize::MAX,
            seed: 0,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// With room for so many records, whose completions come in an order and at times that `seed` decides.
    #[must_use]
    pub fn unruly(self, window: usize, seed: u64) -> Self {
        let mut state = self.state();
        state.window = window;
        state.seed = seed | 1;
        drop(state);
        self
    }

    /// What was written, in the order of the calls.
    pub fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A number below `bound`; always 0 for an orderly leaf.
    fn draw(&mut self, bound: usize) -> usize {
        if self.seed == 0 || bound == 0 {
            return 0;
        }
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        usize::try_from(self.seed % bound as u64).unwrap_or_default()
    }
}

impl Service<Destined> for RecordingLeaf {
    type Response = Enqueued;
    type Error = DeliverError;
    type Future = Ready<Result<Enqueued, DeliverError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DeliverError>> {
        let state = self.state();
        if state.due.len() + state.silent.len() < state.window {
            return Poll::Ready(Ok(()));
        }
        // Room comes back with completions: of those that are due.
        if !state.due.is_empty() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    fn call(&mut self, record: Destined) -> Self::Future {
        let mut state = self.state();
        let result = match (state.answer)(&record) {
            Answer::Refuse(error) => {
                let record = Some(Box::new(record));
                return ready(Ok(Enqueued::Refused(Undelivered { error, record })));
            }
            Answer::Silence => {
                let error =
                    DeliverError::new(DeliverErrorKind::Producer(Refusal { retriable: true }), "taken back");
                let token = record.token;
                let result = Err(Undelivered { error, record: Some(Box::new(record.clone())) });
                state.silent.push(Completion { token, result });
                return ready(Ok(Enqueued::Queued(record.into_written())));
            }
            Answer::Fail(error) => Err(Undelivered { error, record: Some(Box::new(record.clone())) }),
            Answer::Deliver(delivered) => {
                let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
                state.sent.push(Sent {
                    topic: record.destination.topic.as_str().to_owned(),
                    key: record.destination.key.as_ref().map(text),
                    partition: record.destination.partition,
                    headers: record.headers.iter().map(|(n, v)| (n.as_str().to_owned(), text(v))).collect(),
                    payload: record.payload.clone(),
                });
                Ok(delivered)
            }
        };
        state.due.push(Completion { token: record.token, result });
        ready(Ok(Enqueued::Queued(record.into_written())))
    }
}

impl Completing for RecordingLeaf {
    fn poll_completions(&mut self, cx: &mut Context<'_>, completions: &mut Vec<Completion>) -> Poll<()> {
        let mut state = self.state();
        if state.due.is_empty() {
            return Poll::Pending;
        }
        if state.draw(3) == 1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let wanted = if state.seed == 0 { state.due.len() } else { 1 + state.draw(4) };
        for _ in 0..wanted.min(state.due.len()) {
            let (due, len) = (state.draw(usize::MAX), state.due.len());
            let completion = state.due.remove(due % len);
            completions.push(completion);
        }
        Poll::Ready(())
    }

    fn take_back(&mut self) {
        let mut state = self.state();
        let silent = std::mem::take(&mut state.silent);
        state.due.extend(silent);
    }

    fn trouble(&self) -> Option<DeliverError> {
        None
    }
}

impl fmt::Debug for RecordingLeaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingLeaf").field("sent", &self.state().sent.len()).finish_non_exhaustive()
    }
}

/// A sink that keeps what it is given. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct RecordingSink {
    sent: Arc<Mutex<Vec<Acknowledgements>>>,
}

impl RecordingSink {
    /// What was sent, in order.
    pub fn sent(&self) -> Vec<Acknowledgements> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl AcknowledgementSink for RecordingSink {
    fn send(&mut self, acknowledgements: Acknowledgements) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(acknowledgements);
    }
}

/// A feed of a list of messages; a ticket is the message's position. It says that it cannot replay.
pub type VecFeed = ListFeed<false>;

/// A feed as [`VecFeed`] that says that it can.
pub type ReplayFeed = ListFeed<true>;

/// A feed of a list of messages.
#[derive(Debug, Default)]
pub struct ListFeed<const CAN_REPLAY: bool> {
    records: VecDeque<FeedRecord<usize>>,
    /// The tickets that have settled, in the order of settlement.
    pub settled: Vec<usize>,
}

impl<const CAN_REPLAY: bool> ListFeed<CAN_REPLAY> {
    /// A feed of message texts.
    pub fn of_texts(texts: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        Self::of_records(texts.into_iter().map(|text| (text.into(), Vec::new())))
    }

    /// A feed of message texts with record headers.
    pub fn of_records(records: impl IntoIterator<Item = (Bytes, Vec<(Bytes, Bytes)>)>) -> Self {
        let record = |(ticket, (text, headers))| FeedRecord {
            payload: Payload::Text(text),
            headers,
            timestamp_ms: None,
            ticket,
            origin: Origin::default(),
        };
        Self { records: records.into_iter().enumerate().map(record).collect(), settled: Vec::new() }
    }
}

impl<const CAN_REPLAY: bool> ListFeed<CAN_REPLAY> {
    /// Says when the feed took its messages, in milliseconds since 1970.
    pub fn set_timestamps(&mut self, timestamps: impl IntoIterator<Item = i64>) {
        for (record, timestamp) in self.records.iter_mut().zip(timestamps) {
            record.timestamp_ms = Some(timestamp);
        }
    }
}

impl<const CAN_REPLAY: bool> Feed for ListFeed<CAN_REPLAY> {
    const CAN_REPLAY: bool = CAN_REPLAY;
    type Ticket = usize;

    fn poll_records(&mut self, _: &mut Context<'_>) -> Poll<Option<Vec<FeedRecord<usize>>>> {
        const BATCH: usize = 7;
        let batch: Vec<_> = self.records.drain(..BATCH.min(self.records.len())).collect();
        Poll::Ready((!batch.is_empty()).then_some(batch))
    }

    fn settle(&mut self, tickets: &mut Vec<usize>) {
        self.settled.append(tickets);
    }
}
