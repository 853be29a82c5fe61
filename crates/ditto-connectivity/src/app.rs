//! The service: built, running, stopped.

use std::sync::Arc;
use std::time::Duration;

use ditto_connection::{Connection, ConnectionStatus};
use ditto_kafka::ClusterSettings;
use ditto_outbound::InternalHeaders;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, FeedConfig, StoreConfig};
use crate::error::AppError;
use crate::observed::Observed;
use crate::plane::{Clusters, DataPlane, Started};
use crate::registry::Registry;
use crate::report::Report;
use crate::stamp;
use crate::status::Status;
use crate::store::{DirectoryStore, Unreadable};

/// The service before its first signal: what is to run is known, nothing is connected.
#[derive(Debug)]
pub struct App {
    config: Config,
    source: Source,
    clusters: Clusters,
}

/// Where connections come from.
#[derive(Debug)]
enum Source {
    /// Those that are kept.
    Registry(Registry),
    /// The one by which signals are stamped.
    Stamp(Arc<Connection>),
}

impl App {
    /// Opens the store and reads the definitions. Those that are broken are reported and left out.
    ///
    /// # Errors
    /// The store cannot be read, or is a folder without a definition that could run.
    pub fn build(config: Config) -> Result<Self, AppError> {
        let registry = config.store.open().and_then(Registry::open).map_err(AppError::Store)?;
        let (unreadable, connections) = (registry.unreadable(), registry.list());
        for Unreadable { name, reason, .. } in &unreadable {
            for finding in reason.lines() {
                tracing::error!(file = name, "connection not started: {finding}");
            }
        }
        for connection in connections.iter().map(|it| &it.connection) {
            for warning in connection.warnings() {
                warn!(connection = %connection.id(), "{warning}");
            }
        }
        let is_open = |it: &&crate::store::Record| it.connection.status() == ConnectionStatus::Open;
        let open: Vec<_> = connections.iter().filter(is_open).collect();
        if let StoreConfig::Directory { folder, .. } = &config.store
            && open.is_empty()
        {
            let (folder, found, broken) = (folder.display(), connections.len(), unreadable.len());
            return Err(AppError::NoConnection(format!(
                "no connection to run in `{folder}`: {found} are closed, {broken} are broken"
            )));
        }
        for id in config.lanes.named() {
            if !open.iter().any(|it| it.connection.id().as_str() == id) {
                warn!(connection = id, "the configuration names a connection in [lanes] that does not run");
            }
        }
        Ok(Self { config, source: Source::Registry(registry), clusters: Clusters::OfDefinitions })
    }

    /// All connections publish to this cluster, wherever their definitions lead.
    pub(crate) fn with_cluster(self, cluster: ClusterSettings) -> Self {
        Self { clusters: Clusters::One(cluster), ..self }
    }

    /// The service that stamps signals, and has no other connection.
    ///
    /// # Errors
    /// The configuration does not say where they go, or nothing says who may read them.
    pub fn stamping(config: Config) -> Result<Self, AppError> {
        let Some(stamp) = &config.stamp else {
            return Err(AppError::NoConnection("there is no [stamp] that says where signals go".to_owned()));
        };
        if config.directory.is_none() && config.policy.internal_headers == InternalHeaders::default() {
            let why = "nothing says who may read signals: add [directory], or trust a feed that says so";
            return Err(AppError::NoConnection(why.to_owned()));
        }
        let connection = stamp::connection(stamp).map_err(AppError::NoConnection)?;
        let clusters = match &config.feed {
            FeedConfig::Kafka(feed) => Clusters::One(feed.cluster.clone()),
            FeedConfig::Ndjson { .. } => Clusters::OfDefinitions,
        };
        Ok(Self { config, source: Source::Stamp(Arc::new(connection)), clusters })
    }

    /// Opens the feed and starts what is to run. It runs until the feed ends, or `stop` is cancelled.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The feed cannot be opened, or the settings of its client or of the directory cannot work.
    pub async fn start(self, stop: &CancellationToken) -> Result<Running, AppError> {
        let stamps = matches!(self.source, Source::Stamp(_));
        let store = self.config.store.clone();
        let Started { plane, ends, acknowledgements } =
            DataPlane::start(self.config, self.clusters, stamps, stop)?;
        let registry = match self.source {
            Source::Stamp(connection) => {
                plane.open(vec![connection], false).await;
                None
            }
            Source::Registry(registry) => {
                registry.serve(&plane).await;
                Some(registry)
            }
        };
        let mut watches = vec![
            tokio::spawn(Status::of(plane.clone()).watch()),
            tokio::spawn(observe(plane.observed().clone(), registry.clone())),
        ];
        if let (Some(registry), StoreConfig::Directory { folder, poll: Some(poll) }) = (&registry, store) {
            watches.push(tokio::spawn(reload_on_change(registry.clone(), DirectoryStore::new(folder), poll)));
        }
        info!(connections = registry.as_ref().map_or(1, |it| it.list().len()), "started");
        Ok(Running { plane, registry, ends, acknowledgements, watches, stop: stop.clone() })
    }
}

/// Seconds between two looks at how connections stand.
const STANDING_EVERY: u64 = 2;
/// The same, between two that are counted.
const REPORTED_EVERY: u64 = 60;

/// Looks at what connections count, at how they stand, and counts that once a minute. Never ends.
async fn observe(observed: Observed, registry: Option<Registry>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    for second in 0_u64.. {
        seconds.tick().await;
        observed.tick();
        if let Some(registry) = &registry
            && second % STANDING_EVERY == 0
        {
            registry.look(second % REPORTED_EVERY == 0);
        }
    }
}

/// Reads a folder again when something in it has changed. Never ends.
async fn reload_on_change(registry: Registry, folder: DirectoryStore, poll: Duration) {
    let look = async || {
        let folder = folder.clone();
        tokio::task::spawn_blocking(move || folder.stamp()).await.unwrap_or_default()
    };
    let mut before = look().await;
    loop {
        tokio::time::sleep(poll).await;
        let now = look().await;
        if now != before {
            before = now;
            registry.reload().await;
        }
    }
}

/// The running service.
#[derive(Debug)]
pub struct Running {
    plane: DataPlane,
    registry: Option<Registry>,
    ends: mpsc::UnboundedReceiver<Result<(), AppError>>,
    acknowledgements: Option<JoinHandle<()>>,
    watches: Vec<JoinHandle<()>>,
    stop: CancellationToken,
}

impl Running {
    /// The connections, to be changed while they run; none if signals are stamped.
    pub fn registry(&self) -> Option<Registry> {
        self.registry.clone()
    }

    /// How the connections stand.
    pub fn status(&self) -> Status {
        Status::of(self.plane.clone())
    }

    /// What became of every signal so far.
    pub fn report(&self) -> Report {
        Report::of(self.plane.clone())
    }

    /// Waits for the end of the feed, or until the service is stopped; then for all lanes, and for what the producers still
    /// hold.
    ///
    /// # Errors
    /// The first failure of a lane that is not started anew.
    pub async fn finished(mut self) -> Result<Report, AppError> {
        let mut first = tokio::select! {
            () = self.stop.cancelled() => Ok(()),
            ended = self.ends.recv() => ended.unwrap_or(Ok(())),
        };
        // Nothing is opened any more.
        if let Some(registry) = &self.registry {
            registry.end();
        }
        self.watches.iter().for_each(JoinHandle::abort);
        let ended = self.plane.end().await;
        // A lane may have failed just before it was stopped.
        while let Ok(ended) = self.ends.try_recv() {
            first = first.and(ended);
        }
        first = first.and(ended);
        // Order matters: lanes hold sinks and publishers; with them gone the last records go out.
        let grace = self.plane.grace().clone();
        if let Some(acknowledgements) = self.acknowledgements.take() {
            let stopped = acknowledgements.abort_handle();
            if tokio::time::timeout(grace.left(), acknowledgements).await.is_err() {
                warn!("stopped before every acknowledgement was sent");
                stopped.abort();
            }
        }
        let open = self.plane.pool().closed(grace.left()).await;
        if open > 0 {
            warn!(producers = open, "producers did not end in time");
        }
        first.map(|()| Report::of(self.plane))
    }
}
