//! A connection that a lane serves.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ditto_connection::Connection;
use ditto_kafka::{Fingerprint, ProducerPool, ProducerSettings};
use ditto_outbound::CompiledConnection;
use ditto_protocol::TargetTopic;

use super::locked;
use crate::error::{AppError, Failure};
use crate::publish::KafkaLeaf;

/// A connection that a lane serves, compiled.
#[derive(Debug)]
pub(crate) struct Served {
    connection: Arc<Connection>,
    compiled: Arc<CompiledConnection>,
    settings: ProducerSettings,
    client: Fingerprint,
    /// Why the service cannot run it, whatever its client does.
    refusal: Option<Failure>,
    /// Why its client cannot be made, and since when.
    failure: Mutex<Option<(Instant, Failure)>>,
    /// Somebody asks its cluster just now.
    pub(crate) is_probed: AtomicBool,
    /// It was not said yet that it works.
    announces: AtomicBool,
}

impl Served {
    pub(super) fn new(
        connection: Arc<Connection>,
        compiled: Arc<CompiledConnection>,
        settings: ProducerSettings,
        refusal: Option<Failure>,
    ) -> Self {
        Self {
            announces: AtomicBool::new(listens(&connection)),
            connection,
            compiled,
            client: settings.fingerprint(),
            settings,
            failure: Mutex::new(refusal.clone().map(|failure| (Instant::now(), failure))),
            refusal,
            is_probed: AtomicBool::new(false),
        }
    }

    /// One that comes in the place of this: what was said of it need not be said again.
    pub(super) fn follows(&self, before: &Self) {
        let is_to_say = before.announces.load(Ordering::Relaxed);
        self.announces.fetch_and(is_to_say, Ordering::Relaxed);
    }

    pub(crate) fn id(&self) -> &str {
        self.compiled.id()
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub(crate) fn compiled(&self) -> &Arc<CompiledConnection> {
        &self.compiled
    }

    /// Which client it publishes through.
    pub(crate) fn client(&self) -> &Fingerprint {
        &self.client
    }

    pub(crate) fn settings(&self) -> &ProducerSettings {
        &self.settings
    }

    pub(crate) fn servers(&self) -> &[String] {
        &self.settings.cluster.bootstrap_servers
    }

    /// The topic that its cluster is asked about.
    pub(crate) fn probed_topic(&self) -> Option<&str> {
        self.compiled.targets().iter().find_map(|target| target.fixed_topic())
    }

    /// Why it does not run, if its client cannot be made.
    pub(crate) fn failure(&self) -> Option<Failure> {
        locked(&self.failure).as_ref().map(|(_, failure)| failure.clone())
    }

    /// What publishes for it.
    pub(super) fn leaf(&self, pool: &ProducerPool) -> Result<KafkaLeaf, AppError> {
        if let Some(Failure { reason, .. }) = &self.refusal {
            tracing::error!(connection = self.id(), "connection not started: {reason}");
            return Err(AppError::NoConnection(format!("connection `{}`: {reason}", self.id())));
        }
        let leaf = KafkaLeaf::new(pool, self.settings.clone());
        *locked(&self.failure) = leaf.as_ref().err().map(|error| {
            let reason = format!("its client cannot be made: {error}");
            tracing::error!(connection = self.id(), "{reason}");
            (Instant::now(), Failure { reason, is_misconfigured: true })
        });
        leaf.map_err(|error| AppError::Client(format!("connection `{}`", self.id()), error))
    }

    /// Whether it failed, and is to be tried again.
    pub(super) fn is_to_mend(&self, after: Duration) -> bool {
        self.refusal.is_none()
            && locked(&self.failure).as_ref().is_some_and(|(since, _)| since.elapsed() >= after)
    }

    /// Whether it is to be said that it works: once.
    pub(super) fn is_to_announce(&self) -> bool {
        self.announces.swap(false, Ordering::Relaxed)
    }

    /// Whether it was said.
    pub(super) fn was_announced(&self) -> bool {
        listens(&self.connection) && !self.announces.load(Ordering::Relaxed)
    }
}

/// Whether anybody wants to know when it opens and closes.
pub(super) fn listens(connection: &Connection) -> bool {
    let mut topics = connection.targets().iter().flat_map(|target| target.topics());
    topics.any(|topic| topic.topic() == TargetTopic::ConnectionAnnouncements)
}
