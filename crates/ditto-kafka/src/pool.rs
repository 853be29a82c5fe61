//! Clients by fingerprint.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tracing::debug;

use crate::client::Client;
use crate::code::ErrorCode;
use crate::connection::ConnectionState;
use crate::error::ClientError;
use crate::lock::lock;
use crate::publisher::Publisher;
use crate::settings::{Bounds, Fingerprint, ProducerSettings};

/// Producers, shared by all publishers with equal settings.
///
/// A client is made with its first publisher and closed after its last one, by its own thread and
/// never by the caller's. Clones are the same pool.
#[derive(Clone)]
pub struct ProducerPool(Arc<Pool>);

struct Pool {
    clients: Mutex<HashMap<Fingerprint, Weak<Client>>>,
    counters: Arc<Counters>,
    alive: watch::Sender<usize>,
}

impl ProducerPool {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Pool {
            clients: Mutex::default(),
            counters: Arc::default(),
            alive: watch::Sender::new(0),
        }))
    }

    /// A publisher with its own bounds, on the client for these settings. A client that has failed
    /// for good gets no new publishers: another one is made.
    ///
    /// Makes no connection and waits for nothing.
    ///
    /// # Errors
    ///
    /// The settings can't work, or the client's threads can't be started.
    pub fn publisher(&self, settings: &ProducerSettings, limits: Bounds) -> Result<Publisher, ClientError> {
        settings.validate()?;
        limits.validate()?;
        let client = self.client(settings)?;
        Publisher::new(client, limits)
    }

    /// How the client of this fingerprint stands; none if nobody publishes through it.
    #[must_use]
    pub fn client_state(&self, fingerprint: &Fingerprint) -> Option<ClientState> {
        let client = self.known(fingerprint)?;
        Some(ClientState {
            connection: client.shared.connection.snapshot(),
            in_flight: client.in_flight(),
            silence: client.silence(),
        })
    }

    /// Asks the cluster of this client for metadata, of this topic or of all, so that [`Self::client_state`] tells how
    /// things stand now. Does nothing if nobody publishes to it.
    ///
    /// # Errors
    ///
    /// No answer in time, or the cluster's error for the topic.
    pub async fn probe(
        &self,
        fingerprint: &Fingerprint,
        topic: Option<&str>,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let Some(client) = self.known(fingerprint) else { return Ok(()) };
        let topic = topic.map(str::to_owned);
        tokio::task::spawn_blocking(move || {
            let metadata = client
                .fetch_metadata(topic.as_deref(), timeout)
                .map_err(|error| ClientError::from_rdkafka(&error))?;
            let error = metadata.topics().iter().find_map(|topic| topic.error());
            match error.filter(|_| topic.is_some()) {
                Some(error) => Err(ClientError::cluster(ErrorCode::from_rdkafka(error.into()))),
                None => Ok(()),
            }
        })
        .await
        .map_err(|_| ClientError::closed("the runtime is shutting down"))?
    }

    fn known(&self, fingerprint: &Fingerprint) -> Option<Arc<Client>> {
        lock(&self.0.clients).get(fingerprint).and_then(Weak::upgrade)
    }

    /// How many clients exist, those included that are just closing.
    #[must_use]
    pub fn clients(&self) -> usize {
        *self.0.alive.borrow()
    }

    /// What happened since the pool was made.
    #[must_use]
    pub fn counts(&self) -> PoolCounts {
        self.0.counters.snapshot()
    }

    /// Waits until every client has ended, at most this long, and returns how many have not. Drop all
    /// publishers first: a client ends with its last one, and takes 10 s at most to send what it holds.
    pub async fn closed(&self, deadline: Duration) -> usize {
        let mut alive = self.0.alive.subscribe();
        let _timed_out = tokio::time::timeout(deadline, alive.wait_for(|it| *it == 0)).await;
        self.clients()
    }

    fn client(&self, settings: &ProducerSettings) -> Result<Arc<Client>, ClientError> {
        let fingerprint = settings.fingerprint();
        let mut clients = lock(&self.0.clients);
        if let Some(client) = clients.get(&fingerprint).and_then(Weak::upgrade)
            && !client.is_condemned()
        {
            return Ok(client);
        }
        clients.retain(|_, it| it.strong_count() > 0);
        let pool = Arc::downgrade(&self.0);
        let client = Client::start(settings, Arc::clone(&self.0.counters), move || {
            if let Some(pool) = pool.upgrade() {
                pool.alive.send_modify(|it| *it = it.saturating_sub(1));
            }
        })?;
        let client = Arc::new(client);
        self.0.alive.send_modify(|it| *it += 1);
        debug!(%fingerprint, "kafka producer started");
        clients.insert(fingerprint, Arc::downgrade(&client));
        Ok(client)
    }
}

impl Default for ProducerPool {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ProducerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerPool")
            .field("clients", &self.clients())
            .field("counts", &self.counts())
            .finish()
    }
}

/// How a client stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientState {
    /// Its connection.
    pub connection: ConnectionState,
    /// Records of all its publishers whose end is not known.
    pub in_flight: usize,
    /// For how long there have been any, without a report of one. The cluster may answer all the while: too few replicas,
    /// a partition without leader.
    pub silence: Option<Duration>,
}

/// What should never happen, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolCounts {
    /// A record was refused because a queue was full: a bug in the accounting of permits, or a caller
    /// that enqueues without being ready.
    pub queue_full: u64,
    /// Delivery reports of records whose publisher was gone.
    pub unclaimed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    queue_full: AtomicU64,
    unclaimed: AtomicU64,
}

impl Counters {
    pub(crate) fn add_queue_full(&self) {
        self.queue_full.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_unclaimed(&self, reports: usize) {
        self.unclaimed.fetch_add(reports as u64, Ordering::Relaxed);
    }

    fn snapshot(&self) -> PoolCounts {
        PoolCounts {
            queue_full: self.queue_full.load(Ordering::Relaxed),
            unclaimed: self.unclaimed.load(Ordering::Relaxed),
        }
    }
}
