//! One librdkafka producer, shared by publishers, with its poll thread.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Headers, Message};
use rdkafka::metadata::Metadata;
use rdkafka::producer::{BaseProducer, Producer, ProducerContext, PurgeConfig};
use tracing::{debug, error, info, trace, warn};

use crate::code::ErrorCode;
use crate::connection::ConnectionLog;
use crate::error::ClientError;
use crate::lock::lock;
use crate::mailbox::{Mailboxes, Opaque, Report};
use crate::partitioner::RoundRobin;
use crate::permits::Permits;
use crate::pool::Counters;
use crate::record::OwnedRecord;
use crate::settings::{Partitioning, ProducerSettings};

pub(crate) type NativeProducer = BaseProducer<EventSink, RoundRobin>;

/// One librdkafka producer.
///
/// It ends when the last publisher lets go of it: the poll thread then flushes and destroys it. Only
/// that thread ever does, since destroying may block (dependencies.md §2, row 2).
pub(crate) struct Client {
    // INVARIANT: declared before `closing`, hence dropped before it: when the poll thread learns that
    // the client is closing, the thread's own handle is the last one.
    producer: Arc<NativeProducer>,
    pub(crate) shared: Arc<Shared>,
    poller: Thread,
    _closing: Sender<()>,
}

/// What publishers, the poll thread and librdkafka's callbacks share.
pub(crate) struct Shared {
    pub(crate) permits: Permits,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) connection: ConnectionLog,
    pub(crate) counters: Arc<Counters>,
    /// Enqueued and not yet distributed.
    in_flight: AtomicUsize,
    /// When a report last came, or the first record that waits for one was enqueued; in milliseconds since `started`.
    heard_ms: AtomicU64,
    started: Instant,
    /// Publishers that wait for everything to be sent: lingering is over.
    flushing: AtomicUsize,
    /// librdkafka said that this client is broken for good, or somebody wants back what it holds.
    condemned: AtomicBool,
}

impl Shared {
    fn hear(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard_ms.store(now, Ordering::Relaxed);
    }
}

impl Client {
    pub(crate) fn start(
        settings: &ProducerSettings,
        counters: Arc<Counters>,
        on_end: impl FnOnce() + Send + 'static,
    ) -> Result<Self, ClientError> {
        let shared = Arc::new(Shared {
            permits: Permits::new(settings.queue),
            mailboxes: Mailboxes::default(),
            connection: ConnectionLog::default(),
            counters,
            in_flight: AtomicUsize::new(0),
            heard_ms: AtomicU64::new(0),
            started: Instant::now(),
            flushing: AtomicUsize::new(0),
            condemned: AtomicBool::new(false),
        });
        let sink = EventSink {
            shared: Arc::clone(&shared),
            batch: Mutex::default(),
            events: AtomicU64::new(0),
            suspect: AtomicBool::new(false),
            partitioner: (settings.partitioning == Partitioning::RoundRobin).then(RoundRobin::default),
        };
        let config = settings.properties().to_config();
        let producer = NativeProducer::from_config_and_context(&config, sink)
            .map(Arc::new)
            .map_err(|error| ClientError::from_rdkafka(&error))?;
        let (closing, closed) = channel();
        let poller = Poller {
            producer: Arc::clone(&producer),
            shared: Arc::clone(&shared),
            closed,
            batch: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("kafka-producer".to_owned())
            .spawn(move || {
                poller.run();
                on_end();
            })
            .map_err(|error| ClientError::start(error.to_string()))?;
        Ok(Self { producer, shared, poller: thread.thread().clone(), _closing: closing })
    }

    pub(crate) fn native(&self) -> &NativeProducer {
        &self.producer
    }

    /// Nothing will ever be published by it again.
    pub(crate) fn is_condemned(&self) -> bool {
        self.shared.condemned.load(Ordering::Relaxed)
    }

    /// Takes everything back that is not published: each record gets its report soon.
    pub(crate) fn condemn(&self) {
        self.shared.condemned.store(true, Ordering::Relaxed);
        self.poller.unpark();
    }

    /// For how long records have been in flight without any report.
    pub(crate) fn silence(&self) -> Option<Duration> {
        let heard = Duration::from_millis(self.shared.heard_ms.load(Ordering::Relaxed));
        (self.in_flight() > 0).then(|| self.shared.started.elapsed().saturating_sub(heard))
    }

    /// Records whose report was not distributed yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Acquire)
    }

    /// Asks the cluster, and waits for its answer: whether there is one tells how the connection stands.
    pub(crate) fn fetch_metadata(&self, topic: Option<&str>, timeout: Duration) -> KafkaResult<Metadata> {
        let metadata = self.producer.client().fetch_metadata(topic, timeout);
        match &metadata {
            // A client that has failed for good can ask, and publishes nothing.
            Ok(_) if self.is_condemned() => {}
            Ok(_) => self.shared.connection.succeeded(),
            Err(error) => {
                let code = ErrorCode::from_error(error);
                self.shared.connection.unanswered(code, timeout);
            }
        }
        metadata
    }

    /// Counts a record that is about to be enqueued. The first one wakes the poll thread.
    pub(crate) fn enqueueing(&self) {
        if self.shared.in_flight.fetch_add(1, Ordering::AcqRel) == 0 {
            self.shared.hear();
            self.poller.unpark();
        }
    }

    /// It was not enqueued after all.
    pub(crate) fn refused(&self) {
        self.shared.in_flight.fetch_sub(1, Ordering::AcqRel);
    }

    /// Lingering is over until the guard is dropped.
    pub(crate) fn flushing(&self) -> Flushing<'_> {
        self.shared.flushing.fetch_add(1, Ordering::AcqRel);
        self.poller.unpark();
        Flushing(&self.shared.flushing)
    }
}

pub(crate) struct Flushing<'a>(&'a AtomicUsize);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What librdkafka calls back. All but the partitioner runs in the poll thread.
pub(crate) struct EventSink {
    shared: Arc<Shared>,
    /// Reports since the last distribution. Locked by the poll thread alone.
    batch: Mutex<Vec<Report>>,
    /// Grows with each event: tells whether a poll found one.
    events: AtomicU64,
    /// There was an error since the poll thread last looked.
    suspect: AtomicBool,
    partitioner: Option<RoundRobin>,
}

impl EventSink {
    fn count(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }
}

impl ClientContext for EventSink {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.count();
        match level {
            RDKafkaLogLevel::Debug => trace!(facility, text = message, "librdkafka"),
            RDKafkaLogLevel::Info => {
                debug!(facility, text = message, "librdkafka");
            }
            _ => info!(facility, text = message, "librdkafka"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.count();
        // It may be fatal, which its code does not tell.
        self.suspect.store(true, Ordering::Relaxed);
        self.shared.connection.failed(ErrorCode::from_error(&error), reason);
    }
}

impl ProducerContext<RoundRobin> for EventSink {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: usize) {
        let (error, message) = match result {
            Ok(message) => (0, message),
            Err((error, message)) => (ErrorCode::from_error(error).number(), message),
        };
        let report = Report {
            opaque: Opaque::unpack(opaque),
            error,
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            bytes: message.key_len() + message.payload_len(),
            record: result.is_err().then(|| Box::new(copy(message))),
        };
        lock(&self.batch).push(report);
    }

    fn get_custom_partitioner(&self) -> Option<&RoundRobin> {
        self.partitioner.as_ref()
    }
}

/// A record that comes back. The partition that was asked for is known to its publisher.
fn copy(message: &BorrowedMessage<'_>) -> OwnedRecord {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        let copied = headers
            .iter()
            .map(|it| (it.key.to_owned(), Bytes::copy_from_slice(it.value.unwrap_or_default())));
        copied.collect()
    });
    OwnedRecord {
        topic: message.topic().to_owned(),
        partition: None,
        key: message.key().map(Bytes::copy_from_slice),
        payload: message.payload().map(Bytes::copy_from_slice),
        headers,
    }
}

/// The thread that takes librdkafka's events.
///
/// It does not wait in librdkafka, but for a purge, which its broker threads answer: rdkafka offers no way to
/// wait for one event and return, and its time-outs spin through their last millisecond. So it drains what is there, hands it over in one
/// batch, and parks: 1 ms while reports come, longer while none do, until woken when nothing is in flight.
struct Poller {
    producer: Arc<NativeProducer>,
    shared: Arc<Shared>,
    closed: Receiver<()>,
    batch: Vec<Report>,
}

/// While reports come. Together with the linger time it bounds how often a batch is handed over.
const BUSY: Duration = Duration::from_millis(1);
/// While records are in flight and no report comes.
const QUIET: Duration = Duration::from_millis(8);
/// While nothing is in flight: for errors and logs only.
const IDLE: Duration = Duration::from_millis(100);
/// Reports handed over at once at most.
const BATCH: usize = 10_000;
/// How long a client that nobody uses any more may take to send what it holds.
pub(crate) const CLOSE_GRACE: Duration = Duration::from_secs(10);

impl Poller {
    fn run(mut self) {
        let mut pause = BUSY;
        while matches!(self.closed.try_recv(), Err(TryRecvError::Empty)) {
            if self.shared.flushing.load(Ordering::Acquire) > 0 {
                // Reports come through the same events; this also ends the lingering.
                let _unfinished = self.producer.flush(Duration::ZERO);
            }
            let in_flight = self.shared.in_flight.load(Ordering::Acquire);
            if in_flight > 0 && self.shared.condemned.load(Ordering::Relaxed) {
                // librdkafka itself would keep trying after some errors that are fatal to us.
                self.producer.purge(PurgeConfig::default().queue().inflight());
            }
            let found = self.drain();
            self.look_for_fatal_error();
            self.distribute();
            pause = if found {
                BUSY
            } else if self.shared.in_flight.load(Ordering::Acquire) == 0 {
                IDLE
            } else {
                (pause * 2).min(QUIET)
            };
            thread::park_timeout(pause);
        }
        self.close();
    }

    /// Takes events until there are none or the batch is full.
    fn drain(&self) -> bool {
        let sink = self.producer.context();
        let start = sink.events.load(Ordering::Relaxed);
        let mut seen = start;
        let mut reports = 0;
        loop {
            // With a time-out of zero rdkafka takes at most one event.
            self.producer.poll(Duration::ZERO);
            let events = sink.events.load(Ordering::Relaxed);
            let batch = lock(&sink.batch).len();
            if events == seen && batch == reports || batch >= BATCH {
                return batch > 0 || events != start;
            }
            seen = events;
            reports = batch;
        }
    }

    /// After a fatal error librdkafka sends nothing any more.
    fn look_for_fatal_error(&self) {
        if self.producer.context().suspect.swap(false, Ordering::Relaxed)
            && let Some((code, reason)) = self.producer.client().fatal_error()
            && !self.shared.condemned.swap(true, Ordering::Relaxed)
        {
            let code = ErrorCode::from_rdkafka(code);
            error!(%code, reason, "kafka producer failed for good");
            self.shared.connection.failed(code, &reason);
        }
    }

    /// Hands the reports over. Their events are gone by now, and with them librdkafka's own count of
    /// the records: so permits may be given back.
    fn distribute(&mut self) {
        std::mem::swap(&mut *lock(&self.producer.context().batch), &mut self.batch);
        if self.batch.is_empty() {
            return;
        }
        if self.batch.iter().any(|it| it.error == 0) {
            self.shared.connection.succeeded();
        }
        self.shared.hear();
        let bytes = self.batch.iter().map(|it| it.bytes).sum();
        self.shared.in_flight.fetch_sub(self.batch.len(), Ordering::AcqRel);
        self.shared.permits.release(self.batch.len(), bytes);
        let nobody = self.shared.mailboxes.deliver(&mut self.batch);
        self.shared.counters.add_unclaimed(nobody);
    }

    /// Nobody uses the client any more: sends what it holds, within the grace time, and destroys it.
    fn close(mut self) {
        let deadline = Instant::now() + CLOSE_GRACE;
        // Our own count: librdkafka's has its errors and logs in it, too.
        let shared = Arc::clone(&self.shared);
        let unsent = || shared.in_flight.load(Ordering::Acquire);
        while unsent() > 0 && Instant::now() < deadline && !shared.condemned.load(Ordering::Relaxed) {
            // Ends the lingering.
            let _unfinished = self.producer.flush(Duration::ZERO);
            if !self.drain() {
                thread::park_timeout(BUSY);
            }
            self.distribute();
        }
        let lost = unsent();
        if lost > 0 {
            warn!(records = lost, "kafka producer closed with records unsent");
        }
        // Purges, and blocks until librdkafka's threads have ended.
        drop(self.producer);
    }
}
