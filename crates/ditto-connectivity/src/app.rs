//! The service: built, running, stopped.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use ditto_connection::Connection;
use ditto_kafka::{
    ClientError, ClusterSettings, Consumer, ConsumerSettings, Delivery, ProducerPool, ProducerSettings,
};
use ditto_outbound::{
    AcknowledgementSink, CompiledConnection, Feed, Intake, InternalHeaders, Lane, Leaf, NoAcknowledgements,
    OnHold, RunOptions,
};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::acknowledgements::{KafkaAcknowledgements, NdjsonAcknowledgements};
use crate::config::{Config, FeedConfig, KafkaFeedConfig, StampConfig};
use crate::definitions::Definitions;
use crate::directory::{DirectoryError, SharedDirectory};
use crate::feed::{KafkaFeed, NdjsonFeed, open_input};
use crate::grace::Grace;
use crate::mappers::run_options;
use crate::publish::{KafkaLeaf, cluster_of};
use crate::report::Report;
use crate::stamp::LinesLeaf;
use crate::status::Status;
use crate::{lanes, stamp};

/// Where connections publish to.
#[derive(Debug, Clone, Default)]
pub(crate) enum Clusters {
    /// Each to the cluster of its definition.
    #[default]
    OfDefinitions,
    /// All to this one: the quickstart's, inside the process, or that of the feed, for what is stamped. No definition leads
    /// here.
    One(ClusterSettings),
}

/// The service before its first signal: everything is compiled, nothing is connected.
#[derive(Debug)]
pub struct App {
    config: Config,
    connections: Vec<(Connection, Arc<CompiledConnection>)>,
    clusters: Clusters,
}

/// Why the service cannot start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppError {
    /// There is nothing to run.
    #[error("{0}")]
    NoConnection(String),
    /// The folder of definitions cannot be read.
    #[error("folder of connections `{0}` cannot be read")]
    Definitions(String, #[source] io::Error),
    /// A file of the feed cannot be used.
    #[error("`{0}` cannot be used")]
    File(String, #[source] io::Error),
    /// A client cannot be made, or failed for good.
    #[error("kafka client of {0} failed")]
    Client(String, #[source] ClientError),
    /// What knows things and policies cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A lane panicked.
    #[error("a lane ended unexpectedly; this is a bug: {0}")]
    Internal(String),
}

impl App {
    /// Reads and compiles the definitions. Those that are broken are reported and left out.
    ///
    /// # Errors
    /// There is no definition that could run.
    pub fn build(config: Config) -> Result<Self, AppError> {
        let folder = config.connections.display().to_string();
        let definitions = Definitions::load(&config.connections)
            .map_err(|error| AppError::Definitions(folder.clone(), error))?;
        for broken in &definitions.broken {
            for finding in &broken.findings {
                tracing::error!(file = %broken.file.display(), "connection not started: {finding}");
            }
        }
        for definition in &definitions.connections {
            for warning in definition.connection.warnings() {
                warn!(file = %definition.file.display(), "{warning}");
            }
        }
        let connections: Vec<Connection> = definitions.open().cloned().collect();
        if connections.is_empty() {
            let (found, broken) = (definitions.connections.len(), definitions.broken.len());
            return Err(AppError::NoConnection(format!(
                "no connection to run in `{folder}`: {found} are closed, {broken} are broken"
            )));
        }
        Ok(Self::of_connections(config, connections, Clusters::OfDefinitions))
    }

    pub(crate) fn of_connections(config: Config, connections: Vec<Connection>, clusters: Clusters) -> Self {
        for id in config.lanes.named() {
            if !connections.iter().any(|connection| connection.id().as_str() == id) {
                warn!(connection = id, "the configuration names a connection in [lanes] that does not run");
            }
        }
        let options = run_options();
        let compile = |connection: Connection| {
            let on_hold = config.lanes.of(connection.id().as_str()).on_hold;
            let compiled =
                CompiledConnection::compile(&connection, &RunOptions { on_hold, ..options.clone() });
            (connection, compiled)
        };
        let connections = connections.into_iter().map(compile).collect();
        Self { config, connections, clusters }
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
        let compiled = CompiledConnection::stamping(&connection);
        Ok(Self { config, connections: vec![(connection, compiled)], clusters })
    }

    /// Opens the feed and starts the lanes. It runs until the feed ends, or `stop` is cancelled.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The feed cannot be opened, or a client cannot be made.
    pub fn start(self, stop: &CancellationToken) -> Result<Running, AppError> {
        let pool = ProducerPool::new();
        let runtime = tokio::runtime::Handle::current();
        let directory = self.config.directory.as_ref();
        let directory = directory.map(|config| SharedDirectory::start(config, &runtime)).transpose()?;
        let mut running = Running {
            status: Status::new(&pool),
            pool,
            lanes: JoinSet::new(),
            report: Report::of(directory.as_ref().map(SharedDirectory::monitor)),
            directory,
            grace: Grace::new(self.config.grace),
            stop: stop.clone(),
            acknowledgements: None,
            watch: None,
        };
        info!(connections = self.connections.len(), "starting");
        match self.config.feed.clone() {
            FeedConfig::Ndjson { path, acknowledgements } => {
                let file = |path: &std::path::Path, error| AppError::File(path.display().to_string(), error);
                let input = open_input(&path).map_err(|error| file(&path, error))?;
                let sink: Box<dyn AcknowledgementSink> = match acknowledgements {
                    Some(path) => {
                        Box::new(NdjsonAcknowledgements::create(&path).map_err(|error| file(&path, error))?)
                    }
                    None => Box::new(NoAcknowledgements),
                };
                let feed = NdjsonFeed::start(input, self.config.policy.limits.max_bytes, stop.clone())
                    .map_err(|error| file(&path, error))?;
                if let ([(_, compiled)], Some(StampConfig::Lines(to))) =
                    (self.connections.as_slice(), self.stamps_to())
                {
                    let leaf = LinesLeaf::create(to).map_err(|error| file(to, error))?;
                    self.start_lines(&mut running, path, feed, vec![(compiled.clone(), leaf)], sink)?;
                } else {
                    let served: Vec<_> = self.connections.iter().collect();
                    let connections = self.drivers(&mut running, &served, false)?;
                    self.start_lines(&mut running, path, feed, connections, sink)?;
                }
            }
            FeedConfig::Kafka(config) => {
                let acknowledgements = match &config.acknowledgement_topic {
                    Some(topic) => Some(running.acknowledge_to(&config.cluster, topic.clone())?),
                    None => None,
                };
                let ids = self.connections.iter().map(|(connection, _)| connection.id().as_str());
                for lane in lanes::of(&config, &self.config.lanes, ids) {
                    let sink: Box<dyn AcknowledgementSink> = match &acknowledgements {
                        Some(sink) => Box::new(sink.clone()),
                        None => Box::new(NoAcknowledgements),
                    };
                    self.start_lane(&mut running, &config, lane, sink)?;
                }
            }
        }
        running.watch = Some(tokio::spawn(running.status.clone().watch()));
        Ok(running)
    }

    /// Where signals go, if they are stamped.
    fn stamps_to(&self) -> Option<&StampConfig> {
        let stamps = self.connections.iter().any(|(_, compiled)| compiled.is_stamping());
        self.config.stamp.as_ref().filter(|_| stamps)
    }

    fn start_lines<L: Leaf + Send + 'static>(
        &self,
        running: &mut Running,
        path: PathBuf,
        feed: NdjsonFeed,
        connections: Vec<(Arc<CompiledConnection>, L)>,
        sink: Box<dyn AcknowledgementSink>,
    ) -> Result<(), AppError> {
        let served = connections.iter().map(|(compiled, _)| compiled.clone()).collect();
        let lane = Lane::new(feed, Intake::new(self.config.policy.clone()), connections, sink);
        let lane = running.with_directory(lane);
        running.report.add("ndjson".to_owned(), served, lane.counters(), None);
        let bound = running.bound();
        running.spawn(async move {
            match bound.drain(lane).await {
                Some(feed) => {
                    feed.failure().map_err(|error| AppError::File(path.display().to_string(), error))
                }
                None => Ok(()),
            }
        })
    }

    fn start_lane(
        &self,
        running: &mut Running,
        config: &KafkaFeedConfig,
        lanes::Lane { name, group, connections }: lanes::Lane,
        acknowledgements: Box<dyn AcknowledgementSink>,
    ) -> Result<(), AppError> {
        let serves = |id: &str| connections.iter().any(|connection| connection == id);
        let served: Vec<_> =
            self.connections.iter().filter(|(connection, _)| serves(connection.id().as_str())).collect();
        let settings = ConsumerSettings::new(config.cluster.clone(), group, &config.topics)
            .with_start_at(config.start_at)
            .with_on_truncation(config.on_truncation)
            .with_instance_id(config.instance_id.clone())
            .with_session_timeout(config.session_timeout)
            .with_group_protocol(config.group_protocol)
            .with_max_value_bytes(self.config.policy.limits.max_bytes);
        let failed = |error| AppError::Client(format!("the feed of `{name}`"), error);
        let drivers = self.drivers(running, &served, true)?;
        let consumer = Consumer::start(&settings).map_err(failed)?;
        let monitor = consumer.monitor();
        let feed = KafkaFeed::new(consumer, running.stop.clone());
        let lane = Lane::new(feed, Intake::new(self.config.policy.clone()), drivers, acknowledgements);
        let lane = running.with_directory(lane);
        running.report.add(name.clone(), compiled(&served), lane.counters(), Some(monitor));
        let bound = running.bound();
        let grace = running.grace.clone();
        running.spawn(async move {
            match bound.drain(lane).await {
                Some(feed) => feed
                    .close(grace.left())
                    .await
                    .map_err(|error| AppError::Client(format!("the feed of `{name}`"), error)),
                None => Ok(()),
            }
        })
    }

    fn drivers(
        &self,
        running: &mut Running,
        served: &[&(Connection, Arc<CompiledConnection>)],
        can_replay: bool,
    ) -> Result<Vec<(Arc<CompiledConnection>, KafkaLeaf)>, AppError> {
        let mut driver = |(connection, compiled): &&(Connection, Arc<CompiledConnection>)| {
            // What is dropped while it cannot be published must not be tried for ever.
            let delivery = if can_replay && compiled.on_hold() == OnHold::Wait {
                Delivery::Replayable
            } else {
                Delivery::best_effort()
            };
            let settings = self.producer(connection, delivery);
            running.status.add(compiled.clone(), &settings);
            let leaf = KafkaLeaf::new(&running.pool, settings)
                .map_err(|error| AppError::Client(format!("connection `{}`", connection.id()), error))?;
            Ok((compiled.clone(), leaf))
        };
        served.iter().map(&mut driver).collect()
    }

    fn producer(&self, connection: &Connection, delivery: Delivery) -> ProducerSettings {
        let cluster = match &self.clusters {
            Clusters::OfDefinitions => cluster_of(connection),
            Clusters::One(cluster) => cluster.clone(),
        };
        ProducerSettings::new(cluster, "ditto-connectivity")
            .with_delivery(delivery)
            .with_partitioning(self.config.producer.partitioning)
            .with_compression(self.config.producer.compression)
            .with_linger(self.config.producer.linger)
            .with_batch_bytes(self.config.producer.batch_bytes)
    }
}

fn compiled(served: &[&(Connection, Arc<CompiledConnection>)]) -> Vec<Arc<CompiledConnection>> {
    served.iter().map(|(_, compiled)| compiled.clone()).collect()
}

/// The running service.
#[derive(Debug)]
pub struct Running {
    pool: ProducerPool,
    /// Looks up until the lanes have ended.
    directory: Option<SharedDirectory>,
    lanes: JoinSet<Result<(), AppError>>,
    report: Report,
    status: Status,
    grace: Grace,
    stop: CancellationToken,
    acknowledgements: Option<JoinHandle<()>>,
    watch: Option<JoinHandle<()>>,
}

/// What bounds the end of a lane.
struct Bound {
    stop: CancellationToken,
    grace: Grace,
}

impl Bound {
    /// Runs a lane; once it is to stop, for the grace time at most. Gives back its feed if everything settled.
    async fn drain<F: Feed, L: Leaf>(self, lane: Lane<F, L>) -> Option<F> {
        let overdue = async {
            self.stop.cancelled().await;
            tokio::time::sleep(self.grace.left()).await;
        };
        tokio::select! {
            feed = lane.run() => Some(feed),
            () = overdue => {
                warn!(grace = ?self.grace.total(), "stopped before everything was sent; a replayable feed hands it out again");
                None
            }
        }
    }
}

impl Running {
    /// Runs a lane in a thread of its own: what it works on stays in one core's cache, and no lane waits for another.
    fn spawn(
        &mut self,
        lane: impl Future<Output = Result<(), AppError>> + Send + 'static,
    ) -> Result<(), AppError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| AppError::Internal(error.to_string()))?;
        let (ending, ended) = oneshot::channel();
        thread::Builder::new()
            .name("lane".to_owned())
            .spawn(move || {
                // Whoever waits for it may have given up.
                let _sent = ending.send(runtime.block_on(lane));
            })
            .map_err(|error| AppError::Internal(error.to_string()))?;
        self.lanes.spawn(async move {
            ended.await.unwrap_or_else(|_| Err(AppError::Internal("its thread panicked".to_owned())))
        });
        Ok(())
    }

    fn with_directory<F: Feed, L: Leaf>(&self, lane: Lane<F, L>) -> Lane<F, L> {
        match &self.directory {
            Some(directory) => lane.with_directory(Box::new(directory.lane())),
            None => lane,
        }
    }

    fn bound(&self) -> Bound {
        Bound { stop: self.stop.clone(), grace: self.grace.clone() }
    }

    fn acknowledge_to(
        &mut self,
        cluster: &ClusterSettings,
        topic: String,
    ) -> Result<KafkaAcknowledgements, AppError> {
        let settings = ProducerSettings::new(cluster.clone(), "ditto-connectivity-acks");
        let (sink, task) = KafkaAcknowledgements::start(&self.pool, &settings, topic, self.grace.clone())
            .map_err(|error| AppError::Client("the acknowledgements".to_owned(), error))?;
        self.acknowledgements = Some(task);
        Ok(sink)
    }

    /// How the connections stand.
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// What became of every signal so far.
    pub fn report(&self) -> Report {
        self.report.clone()
    }

    /// Waits for the end of all lanes, then for what the producers still hold.
    ///
    /// # Errors
    /// The first lane's failure; the others are stopped then.
    pub async fn finished(mut self) -> Result<Report, AppError> {
        let mut first = Ok(());
        while let Some(ended) = self.lanes.join_next().await {
            let ended = ended.unwrap_or_else(|panic| Err(AppError::Internal(panic.to_string())));
            if ended.is_err() {
                self.stop.cancel();
            }
            first = first.and(ended);
        }
        // Nobody asks any more.
        drop(self.directory.take());
        if let Some(watch) = self.watch.take() {
            watch.abort();
        }
        // Order matters: lanes hold sinks and publishers; with them gone the last records go out.
        if let Some(acknowledgements) = self.acknowledgements.take() {
            let stopped = acknowledgements.abort_handle();
            if tokio::time::timeout(self.grace.left(), acknowledgements).await.is_err() {
                warn!("stopped before every acknowledgement was sent");
                stopped.abort();
            }
        }
        let open = self.pool.closed(self.grace.left()).await;
        if open > 0 {
            warn!(producers = open, "producers did not end in time");
        }
        first.map(|()| self.report)
    }
}
