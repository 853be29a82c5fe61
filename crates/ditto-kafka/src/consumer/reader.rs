//! The thread of a consumer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, error, warn};

use super::assignment::Assignment;
use super::commits::Commits;
use super::counts::Counters;
use super::partitions::{Partitions, Place};
use super::starts::list_of;
use super::truncation;
use super::watchdog::Watchdog;
use super::{ConsumedRecord, ConsumerSettings, ConsumerTicket, GroupProtocol, Value};
use crate::code::ErrorCode;
use crate::connection::ConnectionLog;
use crate::error::ClientError;
use crate::lock::lock;

/// What the reader's thread shares with the consumer's owner.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) settled: Mutex<Vec<ConsumerTicket>>,
    /// Hand nothing out any more.
    pub(super) stopping: AtomicBool,
    /// Leave the group.
    pub(super) closing: AtomicBool,
    /// The group has given partitions to this member, maybe none.
    pub(super) has_joined: AtomicBool,
    /// librdkafka has told that a commit failed.
    pub(super) commit_failed: AtomicBool,
    pub(super) connection: ConnectionLog,
    pub(super) counters: Counters,
    pub(super) failure: Mutex<Option<ClientError>>,
}

/// Polls librdkafka, which is the only way to stay in the group, whatever the owner does.
pub(super) struct Reader {
    consumer: BaseConsumer<Assignment>,
    settings: ConsumerSettings,
    shared: Arc<Shared>,
    /// `None` once nothing is handed out any more.
    batches: Option<mpsc::Sender<Vec<ConsumedRecord>>>,
    /// Read, and the owner has no room for it.
    waiting: Option<Vec<ConsumedRecord>>,
    /// It has failed for good, and the owner has not taken everything that was read before.
    failing: Option<ClientError>,
    /// Nothing is read while this is set.
    blocked_since: Option<Instant>,
    commits: Commits,
    /// Partitions have stopped, since their next record does not exist; when to see to it.
    truncated: Option<Instant>,
    /// When the cluster was last asked how it is.
    asked_at: Option<Instant>,
    watchdog: Watchdog,
    /// When to say that the group has not answered yet.
    tell_at: Option<Instant>,
}

/// Records and bytes of a batch, at most; a larger record is a batch of its own. Small enough that a batch is still in
/// the cache when it is taken.
const BATCH_RECORDS: usize = 256;
const BATCH_BYTES: usize = 128 << 10;
/// Room for the record that ends a batch, if it is a usual one: then the buffer never moves.
const LAST_RECORD: usize = 4 << 10;
/// How long a poll waits for a record.
const POLL: Duration = Duration::from_millis(50);
/// How long the thread waits for the owner at a time.
const WAIT: Duration = Duration::from_millis(2);
/// How often a cluster in trouble is asked whether it still is, and how long the answer may take.
const ASK_INTERVAL: Duration = Duration::from_secs(3);
const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// A blocked reader pauses its partitions after this, and goes on polling to stay in the group.
const PATIENCE: Duration = Duration::from_secs(1);
/// A group that has not answered after this is worth a line. A rebalance of a busy group may take longer.
const JOIN: Duration = Duration::from_secs(30);

impl Reader {
    pub(super) fn new(
        settings: &ConsumerSettings,
        shared: Arc<Shared>,
        batches: mpsc::Sender<Vec<ConsumedRecord>>,
    ) -> Result<Self, ClientError> {
        let context = Assignment::new(settings, Arc::clone(&shared), Partitions::new(settings.span));
        Ok(Self {
            consumer: join(settings, context)?,
            settings: settings.clone(),
            shared,
            batches: Some(batches),
            waiting: None,
            failing: None,
            blocked_since: None,
            commits: Commits::new(settings.commit_interval),
            truncated: None,
            asked_at: None,
            watchdog: Watchdog::new(settings.stall_after),
            tell_at: Some(Instant::now() + JOIN),
        })
    }

    /// A new client in place of one that the group has shut out.
    fn join_anew(&mut self) -> Result<(), ClientError> {
        // Goes on counting: tickets for what the old one had stay void.
        let mut partitions = std::mem::replace(
            &mut *lock(&self.consumer.context().partitions),
            Partitions::new(self.settings.span),
        );
        partitions.lose_all();
        let context = Assignment::new(&self.settings, Arc::clone(&self.shared), partitions);
        // Beside the old one for as long as that takes to end: it has no say in the group any more.
        self.consumer = join(&self.settings, context)?;
        self.commits = Commits::new(self.settings.commit_interval);
        self.watchdog = Watchdog::new(self.settings.stall_after);
        self.truncated = None;
        self.tell_at = Some(Instant::now() + JOIN);
        Ok(())
    }

    pub(super) fn run(mut self) {
        while !self.shared.closing.load(Ordering::Acquire) {
            self.settle();
            self.commits.commit(&self.consumer, &self.shared);
            if self.shared.stopping.load(Ordering::Acquire) && self.batches.is_some() {
                // What was read and not handed out is read again by whoever comes next.
                self.batches = None;
                self.waiting = None;
            }
            if !self.hand_out() {
                self.wait_for_room();
                continue;
            }
            if let Err(failure) = self.failing.take().map_or_else(|| self.read(), Err) {
                error!(%failure, "kafka consumer failed for good");
                *lock(&self.shared.failure) = Some(failure);
                self.batches = None;
                break;
            }
        }
        self.settle();
        self.commits.finish(&self.consumer, &self.shared);
        // Leaves the group; may block, which is why it happens here.
        drop(self.consumer);
    }

    fn settle(&mut self) {
        let settled = std::mem::take(&mut *lock(&self.shared.settled));
        if settled.is_empty() {
            return;
        }
        lock(&self.consumer.context().partitions).settle(&settled);
    }

    /// Gives the waiting batch to the owner; false if there is no room.
    fn hand_out(&mut self) -> bool {
        let Some(batch) = self.waiting.take() else { return true };
        let Some(batches) = &self.batches else { return true };
        match batches.try_send(batch) {
            Ok(()) => self.shared.counters.batches.add(1),
            Err(TrySendError::Full(batch)) => {
                self.waiting = Some(batch);
                return false;
            }
            // The owner is gone; closing follows.
            Err(TrySendError::Closed(_)) => self.batches = None,
        }
        self.blocked_since = None;
        true
    }

    fn wait_for_room(&mut self) {
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        if since.elapsed() < PATIENCE {
            thread::park_timeout(WAIT);
            return;
        }
        // Each time: a rebalance may have brought others.
        self.switch_partitions(true);
        // Serves rebalances and errors; a record that still comes is put behind the waiting ones.
        let mut batch = self.waiting.take().unwrap_or_default();
        // What was read before is handed out first.
        self.failing = self.fill(&mut batch, POLL).err().or(self.failing.take());
        self.waiting = Some(batch);
    }

    /// Pauses partitions that are full, or all of them to hold them; lets the others go on.
    fn switch_partitions(&self, hold: bool) {
        let switches = lock(&self.consumer.context().partitions).take_switches(hold);
        self.switch(&switches.pause, true);
        self.switch(&switches.resume, false);
    }

    fn switch(&self, partitions: &[Place], pause: bool) {
        if partitions.is_empty() {
            return;
        }
        debug!(partitions = partitions.len(), pause, "kafka partitions switched");
        let list = list_of(partitions);
        let done = if pause { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        if let Err(error) = done {
            warn!(%error, pause, "kafka partitions not switched");
        }
    }

    /// Reads a batch, if there is one within the poll time.
    fn read(&mut self) -> Result<(), ClientError> {
        // Once nothing is handed out any more, nothing is read either.
        let is_ending = self.batches.is_none();
        self.switch_partitions(is_ending);
        if !is_ending {
            if self.truncated.is_some_and(|due| due <= Instant::now()) {
                self.go_on()?;
            }
            self.watchdog.look(&self.consumer, &self.shared.counters);
            self.tell_of_waiting();
            self.ask_if_in_trouble();
        }
        let mut batch = Vec::new();
        self.fill(&mut batch, POLL)?;
        if !batch.is_empty() && self.batches.is_some() {
            self.waiting = Some(batch);
        }
        Ok(())
    }

    /// Appends records until there are none, or the batch is full.
    fn fill(&mut self, batch: &mut Vec<ConsumedRecord>, timeout: Duration) -> Result<(), ClientError> {
        let mut buffer = BytesMut::new();
        let mut pieces: Vec<Pieces> = Vec::with_capacity(BATCH_RECORDS);
        let mut timeout = timeout;
        while pieces.len() < BATCH_RECORDS && buffer.len() < BATCH_BYTES {
            match self.consumer.poll(timeout) {
                None => break,
                Some(Ok(message)) => {
                    if buffer.capacity() == 0 {
                        buffer.reserve(BATCH_BYTES + LAST_RECORD);
                    }
                    if let Some(piece) = self.copy(&message, &mut buffer) {
                        pieces.push(piece);
                    }
                }
                Some(Err(error)) => self.failed(&error)?,
            }
            timeout = Duration::ZERO;
        }
        if !pieces.is_empty() {
            self.shared.connection.succeeded();
            let buffer = buffer.freeze();
            batch.extend(pieces.into_iter().map(|piece| piece.record(&buffer)));
        }
        Ok(())
    }

    /// librdkafka keeps asking and says nothing, above all if the brokers do not know the protocol.
    fn tell_of_waiting(&mut self) {
        if self.tell_at.is_none_or(|due| due > Instant::now()) {
            return;
        }
        self.tell_at = None;
        if !self.shared.has_joined.load(Ordering::Acquire) {
            let hint = match self.settings.group_protocol {
                GroupProtocol::Classic => "are the brokers there, and may this user read the group?",
                GroupProtocol::Consumer => "this group protocol needs brokers of Kafka 4.0 or newer",
            };
            warn!(group = self.settings.group_id, hint, "kafka group has not answered yet, goes on waiting");
        }
    }

    /// A feed in which nothing happens gives no sign of life: after an error it is asked for one.
    fn ask_if_in_trouble(&mut self) {
        let is_due = self.asked_at.is_none_or(|asked| asked.elapsed() >= ASK_INTERVAL);
        if !is_due || self.shared.connection.snapshot().last_error().is_none() {
            return;
        }
        self.asked_at = Some(Instant::now());
        let topic = self.settings.topics.first().map(String::as_str);
        if self.consumer.fetch_metadata(topic, ASK_TIMEOUT).is_ok() {
            self.shared.connection.succeeded();
        }
    }

    fn go_on(&mut self) -> Result<(), ClientError> {
        match truncation::go_on(
            &self.consumer,
            self.settings.start_at,
            self.settings.on_truncation,
            &self.shared.counters,
        ) {
            Ok(decided) => {
                self.truncated = None;
                decided
            }
            Err(error) => {
                warn!(%error, "what partitions hold is not found out, will be tried again");
                self.truncated = Some(Instant::now() + PATIENCE);
                Ok(())
            }
        }
    }

    fn failed(&mut self, error: &KafkaError) -> Result<(), ClientError> {
        if let KafkaError::MessageConsumptionFatal(_) = error {
            if ErrorCode::from_error(error) == ErrorCode::FENCED_INSTANCE_ID
                && self.consumer.context().is_out()
            {
                warn!(%error, "kafka consumer fenced after its session was lost, joins the group anew");
                return self.join_anew();
            }
            return Err(ClientError::from_rdkafka(error));
        }
        if let KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset) = error {
            self.truncated = Some(Instant::now());
            return Ok(());
        }
        // A topic that does not exist, a broker that is away: librdkafka goes on trying.
        self.shared.connection.failed(ErrorCode::from_error(error), &error.to_string());
        Ok(())
    }

    /// Copies a record to the end of the buffer; `None` if it must not be handed out.
    fn copy(&self, message: &BorrowedMessage<'_>, buffer: &mut BytesMut) -> Option<Pieces> {
        self.batches.as_ref()?;
        let size = message.payload_len() + message.key_len();
        let (topic, ticket) = lock(&self.consumer.context().partitions).track(
            message.topic(),
            message.partition(),
            message.offset(),
            size,
        )?;
        let mut put = |bytes: &[u8]| {
            let start = buffer.len();
            buffer.extend_from_slice(bytes);
            (start, buffer.len())
        };
        let value = match message.payload() {
            None => ValuePiece::Null,
            Some(value) if value.len() > self.settings.max_value_bytes => ValuePiece::Oversized(value.len()),
            Some(value) => ValuePiece::Bytes(put(value)),
        };
        let key = message.key().map(&mut put);
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            let copied = headers.iter().map(|it| (put(it.key.as_bytes()), put(it.value.unwrap_or_default())));
            copied.collect()
        });
        Some(Pieces {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key,
            value,
            headers,
            ticket,
        })
    }
}

fn join(settings: &ConsumerSettings, context: Assignment) -> Result<BaseConsumer<Assignment>, ClientError> {
    let config = settings.properties().to_config();
    let consumer: BaseConsumer<Assignment> =
        config.create_with_context(context).map_err(|error| ClientError::from_rdkafka(&error))?;
    let topics: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics).map_err(|error| ClientError::from_rdkafka(&error))?;
    Ok(consumer)
}

/// Start and end in the buffer of a batch.
type Piece = (usize, usize);

enum ValuePiece {
    Bytes(Piece),
    Null,
    Oversized(usize),
}

/// A record while its batch's buffer still grows.
struct Pieces {
    topic: Arc<str>,
    partition: i32,
    offset: i64,
    timestamp_ms: Option<i64>,
    key: Option<Piece>,
    value: ValuePiece,
    headers: Vec<(Piece, Piece)>,
    ticket: ConsumerTicket,
}

impl Pieces {
    fn record(self, buffer: &Bytes) -> ConsumedRecord {
        let cut = |(start, end): Piece| buffer.slice(start..end);
        ConsumedRecord {
            topic: self.topic,
            partition: self.partition,
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            key: self.key.map(cut),
            value: match self.value {
                ValuePiece::Bytes(piece) => Value::Bytes(cut(piece)),
                ValuePiece::Null => Value::Null,
                ValuePiece::Oversized(bytes) => Value::Oversized(bytes),
            },
            headers: self.headers.into_iter().map(|(name, value)| (cut(name), cut(value))).collect(),
            ticket: self.ticket,
        }
    }
}
