//! What runs: the lanes, and the connections that they serve. The one place where a connection starts, changes and ends.

mod announce;
mod lane;
pub(crate) mod lanes;
pub(crate) mod letters;
mod originals;
mod served;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ditto_connection::Connection;
use ditto_kafka::{ClusterSettings, Delivery, Group, ProducerPool, ProducerSettings};
use ditto_outbound::{
    AcknowledgementSink, CompiledConnection, EntryLevel, NoAcknowledgements, OnHold, RunOptions,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::announce::Announcer;
pub(crate) use self::lane::LaneTask;
pub(crate) use self::originals::Originals;
pub(crate) use self::served::Served;
use crate::acknowledgements::{KafkaAcknowledgements, NdjsonAcknowledgements};
use crate::config::{Config, FeedConfig, StampConfig};
use crate::connecting::{self, NOT_CONSUMED, OPENING};
use crate::directory::{DirectoryMonitor, LaneDirectory, SharedDirectory};
use crate::error::{AppError, Failure, chain};
use crate::feed::{Input, open_input};
use crate::grace::Grace;
use crate::mappers::run_options;
use crate::observed::Observed;
use crate::publish::{cluster_of, producer};
use crate::totals::Totals;

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

/// The lanes of the service. Clones are the same.
///
/// Calls for one connection come one after the other: that is the business of whoever calls.
#[derive(Clone)]
pub(crate) struct DataPlane(Arc<Plane>);

struct Plane {
    config: Config,
    clusters: Clusters,
    /// Whether the one connection gets everything, with who may read it.
    stamps: bool,
    pool: ProducerPool,
    /// Looks up until the lanes have ended.
    directory: Mutex<Option<SharedDirectory>>,
    directory_monitor: Option<DirectoryMonitor>,
    /// Until everything ends: the last sink ends what publishes them.
    acknowledgements: Mutex<Option<KafkaAcknowledgements>>,
    /// Of a feed of lines, until its lane has started.
    lines: Mutex<Option<Lines>>,
    lanes: Mutex<BTreeMap<String, Arc<LaneTask>>>,
    /// What became of signals whose connection, or whose lane, is no more.
    retired: Mutex<Totals>,
    observed: Observed,
    grace: Grace,
    stop: CancellationToken,
    /// Lanes that ended and are not started anew.
    ends: mpsc::UnboundedSender<Result<(), AppError>>,
}

/// What the lane of a feed of lines begins with.
struct Lines {
    path: PathBuf,
    input: Input,
    acknowledgements: Box<dyn AcknowledgementSink>,
}

/// The one lane of a feed of lines.
const LINES: &str = "ndjson";
/// How long a connection that closes or changes may take to drain what is in flight (the reference's
/// `CONNECTIVITY_CLIENT_DISCONNECTING_MAX_TIMEOUT`), if the grace time of the service is not shorter.
const CLOSING: Duration = Duration::from_secs(5);
/// A connection whose client could not be made is tried again after this.
const MEND_AFTER: Duration = Duration::from_secs(30);
/// How often it is looked at what has come of an opening.
const LOOK: Duration = Duration::from_millis(20);

/// A plane, and what ends with it.
pub(crate) struct Started {
    pub(crate) plane: DataPlane,
    /// Ends of lanes that do not start anew.
    pub(crate) ends: mpsc::UnboundedReceiver<Result<(), AppError>>,
    /// What publishes acknowledgements.
    pub(crate) acknowledgements: Option<JoinHandle<()>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DataPlane {
    /// Without a connection yet. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A file cannot be used, or the feed's or the directory's settings cannot.
    pub(crate) fn start(
        config: Config,
        clusters: Clusters,
        stamps: bool,
        stop: &CancellationToken,
    ) -> Result<Started, AppError> {
        let directory = config.directory.as_ref();
        let runtime = tokio::runtime::Handle::current();
        let directory = directory.map(|config| SharedDirectory::start(config, &runtime)).transpose()?;
        let (pool, grace) = (ProducerPool::new(), Grace::new(config.grace));
        let (mut lines, mut sink, mut task) = (None, None, None);
        match &config.feed {
            FeedConfig::Ndjson { path, acknowledgements } => {
                lines = Some(Lines::open(path, acknowledgements.as_ref())?);
            }
            FeedConfig::Kafka(feed) => {
                let failed = |what: &str| {
                    let what = what.to_owned();
                    |error| AppError::Client(what, error)
                };
                // What is wrong with its settings is wrong for every lane.
                Group::open(&feed.cluster, &*feed.group_id).map_err(failed("the feed"))?;
                if let Some(topic) = &feed.acknowledgement_topic {
                    let settings = ProducerSettings::new(feed.cluster.clone(), "ditto-connectivity-acks");
                    let (to, publishing) =
                        KafkaAcknowledgements::start(&pool, &settings, topic.clone(), grace.clone())
                            .map_err(failed("the acknowledgements"))?;
                    (sink, task) = (Some(to), Some(publishing));
                }
            }
        }
        let (ending, ends) = mpsc::unbounded_channel();
        let plane = Self(Arc::new(Plane {
            config,
            clusters,
            stamps,
            pool,
            directory_monitor: directory.as_ref().map(SharedDirectory::monitor),
            directory: Mutex::new(directory),
            acknowledgements: Mutex::new(sink),
            lines: Mutex::new(lines),
            lanes: Mutex::default(),
            retired: Mutex::default(),
            observed: Observed::default(),
            grace,
            // Whether the service was stopped, or has come to its end, only the caller knows.
            stop: stop.child_token(),
            ends: ending,
        }));
        Ok(Started { plane, ends, acknowledgements: task })
    }

    /// Serves these connections. Those that share a lane join it at one position of the feed. What was committed for one that
    /// was closed meanwhile does not count: what has happened while it was closed is not delivered (design.md §3).
    pub(crate) async fn open(&self, connections: Vec<Arc<Connection>>, was_closed: bool) {
        let mut joining = Vec::new();
        let by_id: BTreeMap<_, _> = connections.iter().map(|it| (it.id().as_str(), it)).collect();
        for lane in self.lanes_of(&connections) {
            let of_lane = lane.connections.iter().filter_map(|id| by_id.get(id.as_str()));
            let served: Vec<_> = of_lane.map(|it| self.served(it)).collect();
            let mut lanes = locked(&self.0.lanes);
            if let Some(running) = lanes.get(&lane.name) {
                joining.extend(served.into_iter().map(|it| (Arc::clone(running), it)));
                continue;
            }
            let name = lane.name.clone();
            lanes.insert(name, LaneTask::start(self, lane, served, was_closed));
        }
        for (lane, served) in joining {
            lane.serve(self, served, self.closing()).await;
        }
    }

    /// Serves a connection by another definition: each signal is judged by exactly one of them.
    pub(crate) async fn change(&self, connection: &Arc<Connection>) {
        match self.lane_of(connection.id().as_str()) {
            // Only now there is something to read, or nothing any more.
            Some(lane) if !lane.reads() || self.only_connects(connection) => {
                self.stop(&lane, connection.id().as_str()).await;
                self.open(vec![Arc::clone(connection)], true).await;
            }
            Some(lane) => lane.serve(self, self.served(connection), self.closing()).await,
            None => self.open(vec![Arc::clone(connection)], false).await,
        }
    }

    /// Serves a connection no longer: when it is done, nothing of it is in flight, and nothing is published later.
    pub(crate) async fn close(&self, id: &str) {
        let Some(lane) = self.lane_of(id) else { return };
        let announcer = lane.served(id).and_then(|served| self.announcer_of_end(&served));
        self.stop(&lane, id).await;
        if let Some(announcer) = announcer {
            announcer.closed().await;
        }
        let observation = self.0.observed.of(id);
        observation.rests();
        observation.journal().of_connection(EntryLevel::Success, "closed".to_owned());
    }

    /// Ends what a lane does for a connection, and the lane if it is its own.
    async fn stop(&self, lane: &LaneTask, id: &str) {
        lane.leave(self, id, self.closing()).await;
        if self.is_own(lane) {
            // Leaves its group, and gives back threads and sockets.
            if let Err(error) = lane.end().await {
                let error = chain(&error);
                warn!(lane = lane.name, error, "the lane of a closed connection did not end as it should");
            }
            locked(&self.0.lanes).remove(&lane.name);
            lane.retire(self);
        }
    }

    /// What is seen of the connections.
    pub(crate) fn observed(&self) -> &Observed {
        &self.0.observed
    }

    /// Waits until a connection works: its cluster has answered, and its lane has its position in the feed.
    pub(crate) async fn connected(&self, id: &str) -> Result<(), Failure> {
        let connected = self.has_connected(id).await;
        let (level, message) = match &connected {
            Ok(()) => (EntryLevel::Success, "connected".to_owned()),
            Err(failure) => (EntryLevel::Failure, failure.reason.clone()),
        };
        self.0.observed.of(id).journal().of_connection(level, message);
        connected
    }

    async fn has_connected(&self, id: &str) -> Result<(), Failure> {
        let was_closed =
            || Failure { reason: "it was closed or changed meanwhile".to_owned(), is_misconfigured: false };
        let (lane, served) = self.find(id).ok_or_else(was_closed)?;
        let is_gone = async {
            while lane.served(id).is_some_and(|now| Arc::ptr_eq(&now, &served)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            connected = self.works(&lane, &served) => connected,
            () = is_gone => Err(was_closed()),
        }
    }

    async fn works(&self, lane: &LaneTask, served: &Arc<Served>) -> Result<(), Failure> {
        let deadline = Instant::now() + OPENING;
        let late = |what: &str| Failure {
            reason: format!("{what} within {} s; it is tried on", OPENING.as_secs()),
            is_misconfigured: false,
        };
        if let Some(failure) = served.failure() {
            return Err(failure);
        }
        let client = served.client();
        while self.0.pool.client_state(client).is_none() {
            if let Some(failure) = served.failure().or_else(|| lane.failure()) {
                return Err(failure);
            }
            if Instant::now() >= deadline {
                return Err(late("its lane has not started"));
            }
            tokio::time::sleep(LOOK).await;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        connecting::connected(&self.0.pool, client, served.probed_topic(), served.servers(), left).await?;
        while !lane.has_position() {
            if let Some(failure) = lane.failure() {
                return Err(failure);
            }
            if Instant::now() >= deadline {
                return Err(late("the feed has given no partitions"));
            }
            tokio::time::sleep(LOOK).await;
        }
        self.announce_opened(served);
        Ok(())
    }

    /// Says that a connection works, once, and if anybody wants to know.
    pub(crate) fn announce_opened(&self, served: &Arc<Served>) {
        if served.is_to_announce()
            && let Some(announcer) = Announcer::prepare(self, served)
        {
            tokio::spawn(announcer.opened());
        }
    }

    /// Nobody is told of the end of what never began.
    fn announcer_of_end(&self, served: &Served) -> Option<Announcer> {
        served.was_announced().then(|| Announcer::prepare(self, served)).flatten()
    }

    /// Tries connections again whose client could not be made.
    pub(crate) async fn mend(&self) {
        let lanes: Vec<_> = locked(&self.0.lanes).values().cloned().collect();
        for lane in lanes {
            for served in lane.all_served() {
                if served.is_to_mend(MEND_AFTER) {
                    lane.serve_again(self, &served, self.closing()).await;
                }
            }
        }
    }

    /// Ends all lanes, which drain within the grace time; the first failure of one.
    pub(crate) async fn end(&self) -> Result<(), AppError> {
        self.0.stop.cancel();
        let lanes = std::mem::take(&mut *locked(&self.0.lanes));
        let served = lanes.values().flat_map(|lane| lane.all_served());
        let announcers: Vec<_> = served.filter_map(|served| self.announcer_of_end(&served)).collect();
        let mut first = Ok(());
        for lane in lanes.values() {
            first = first.and(lane.end().await);
        }
        let announcing: Vec<_> = announcers.into_iter().map(|it| tokio::spawn(it.closed())).collect();
        for announced in announcing {
            let _in_time = tokio::time::timeout(self.0.grace.left(), announced).await;
        }
        // What they did is still told.
        *locked(&self.0.lanes) = lanes;
        // Nobody asks any more.
        drop(locked(&self.0.directory).take());
        drop(locked(&self.0.acknowledgements).take());
        first
    }

    /// All lanes, by their names.
    pub(crate) fn lanes(&self) -> Vec<Arc<LaneTask>> {
        locked(&self.0.lanes).values().cloned().collect()
    }

    /// The connection of that id, and its lane.
    pub(crate) fn find(&self, id: &str) -> Option<(Arc<LaneTask>, Arc<Served>)> {
        let lane = self.lane_of(id)?;
        let served = lane.served(id)?;
        Some((lane, served))
    }

    pub(crate) fn pool(&self) -> &ProducerPool {
        &self.0.pool
    }

    pub(crate) fn grace(&self) -> &Grace {
        &self.0.grace
    }

    /// What knows things and policies, to be asked as by a lane; none if nothing does, or once all is ending.
    pub(crate) fn lane_directory(&self) -> Option<LaneDirectory> {
        locked(&self.0.directory).as_ref().map(SharedDirectory::lane)
    }

    pub(crate) fn directory(&self) -> Option<&DirectoryMonitor> {
        self.0.directory_monitor.as_ref()
    }

    /// What became of signals whose connection, or whose lane, is no more.
    pub(crate) fn retired(&self) -> Totals {
        *locked(&self.0.retired)
    }

    /// The cluster that all connections publish to, if it is not that of their definitions.
    pub(crate) fn cluster(&self) -> Option<ClusterSettings> {
        match &self.0.clusters {
            Clusters::OfDefinitions => None,
            Clusters::One(cluster) => Some(cluster.clone()),
        }
    }

    fn closing(&self) -> Duration {
        self.0.config.grace.min(CLOSING)
    }

    fn is_own(&self, lane: &LaneTask) -> bool {
        lane.name != LINES && lane.name != lanes::SHARED
    }

    fn lane_of(&self, id: &str) -> Option<Arc<LaneTask>> {
        let lanes = locked(&self.0.lanes);
        // Its own has its name; no connection has that of the shared one.
        let mut candidates = [id, lanes::SHARED, LINES].into_iter().filter_map(|name| lanes.get(name));
        candidates.find(|lane| lane.served(id).is_some()).cloned()
    }

    /// Whether a connection has nothing to publish. Of lines somebody has to read them all the same.
    fn only_connects(&self, connection: &Connection) -> bool {
        matches!(self.0.config.feed, FeedConfig::Kafka(_)) && !lanes::serve(connection)
    }

    /// Which lanes serve these connections.
    fn lanes_of(&self, connections: &[Arc<Connection>]) -> Vec<lanes::Lane> {
        let ids = connections.iter().map(|connection| connection.id().as_str());
        match &self.0.config.feed {
            FeedConfig::Kafka(feed) => {
                let (kept, served): (Vec<_>, Vec<_>) =
                    connections.iter().partition(|it| self.only_connects(it));
                let served = served.iter().map(|it| it.id().as_str());
                let mut lanes = lanes::of(feed, &self.0.config.lanes, served);
                lanes.extend(kept.iter().map(|it| lanes::Lane::without_feed(it.id().as_str())));
                lanes
            }
            FeedConfig::Ndjson { .. } if connections.is_empty() => Vec::new(),
            FeedConfig::Ndjson { .. } => {
                let connections = ids.map(str::to_owned).collect();
                vec![lanes::Lane { name: LINES.to_owned(), group: String::new(), connections, reads: true }]
            }
        }
    }

    /// Compiles a connection.
    fn served(&self, connection: &Arc<Connection>) -> Arc<Served> {
        let (compiled, refusal) = match self.0.stamps {
            true => (CompiledConnection::stamping(connection), None),
            false => {
                let (dead_letters, refusal) = match letters::topic(connection, &self.0.config) {
                    Ok(topic) => (topic, None),
                    Err(why) => (None, Some(Failure { reason: why, is_misconfigured: true })),
                };
                let on_hold = self.0.config.lanes.of(connection.id().as_str()).on_hold;
                let observation = self.0.observed.of(connection.id().as_str());
                let journal = observation.journal().clone();
                let options = RunOptions { on_hold, dead_letters, journal, ..run_options() };
                let compiled = CompiledConnection::compile(connection, &options);
                observation.runs(connection, &compiled);
                for address in connecting::not_consumed(connection) {
                    observation.journal().of_source(address, NOT_CONSUMED.to_owned());
                }
                (compiled, refusal)
            }
        };
        let can_replay = matches!(self.0.config.feed, FeedConfig::Kafka(_));
        // What is dropped while it cannot be published must not be tried for ever.
        let delivery = match compiled.on_hold() {
            OnHold::Wait if can_replay => Delivery::Replayable,
            _ => Delivery::best_effort(),
        };
        let cluster = self.cluster().unwrap_or_else(|| cluster_of(connection));
        let settings = producer(&self.0.config.producer, cluster, delivery);
        Arc::new(Served::new(Arc::clone(connection), compiled, settings, refusal))
    }

    /// Whether lanes that fail start anew. Who waits for the end of a file, or for what is stamped, is told instead.
    fn restarts(&self) -> bool {
        matches!(self.0.config.feed, FeedConfig::Kafka(_)) && !self.0.stamps
    }

    /// Where stamped lines go, if they are stamped.
    fn stamps_to(&self) -> Option<&PathBuf> {
        match &self.0.config.stamp {
            Some(StampConfig::Lines(path)) if self.0.stamps => Some(path),
            _ => None,
        }
    }

    fn sink(&self) -> Box<dyn AcknowledgementSink> {
        match &*locked(&self.0.acknowledgements) {
            Some(sink) => Box::new(sink.clone()),
            None => Box::new(NoAcknowledgements),
        }
    }

    fn retire(&self, totals: &Totals) {
        locked(&self.0.retired).add(totals);
    }
}

impl Lines {
    fn open(path: &PathBuf, acknowledgements: Option<&PathBuf>) -> Result<Self, AppError> {
        let file = |path: &PathBuf, error| AppError::File(path.display().to_string(), error);
        let input = open_input(path).map_err(|error| file(path, error))?;
        let acknowledgements: Box<dyn AcknowledgementSink> = match acknowledgements {
            Some(path) => Box::new(NdjsonAcknowledgements::create(path).map_err(|error| file(path, error))?),
            None => Box::new(NoAcknowledgements),
        };
        Ok(Self { path: path.clone(), input, acknowledgements })
    }
}

/// Says that a lane is gone, and how that is meant.
fn tell_of_end(lane: &str, error: &AppError, pause: Duration) {
    let error = chain(error);
    warn!(lane, error, again_in = ?pause, "a lane has failed; its connections wait, the others go on");
}

fn tell_of_start(lane: &str, connections: usize) {
    info!(lane, connections, "lane started");
}

impl std::fmt::Debug for DataPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataPlane").field("lanes", &locked(&self.0.lanes).len()).finish_non_exhaustive()
    }
}
