//! A lane, and what keeps it running.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ditto_kafka::{Consumer, ConsumerMonitor, ConsumerSettings};
use ditto_outbound::{
    AcknowledgementSink, CompiledConnection, Feed, Intake, Lane, LaneControl, LaneCounters, LaneCounts, Leaf,
};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{CLOSING, DataPlane, Originals, Served, lanes, locked, tell_of_end, tell_of_start};
use crate::config::{FeedConfig, KafkaFeedConfig};
use crate::error::{AppError, Failure, chain};
use crate::feed::{KafkaFeed, NdjsonFeed};
use crate::grace::Grace;
use crate::publish::KafkaLeaf;
use crate::stamp::LinesLeaf;
use crate::totals::Totals;

/// A position in the feed with the connections that it serves. It is started anew when it fails, later each time.
pub(crate) struct LaneTask {
    pub(crate) name: String,
    group: String,
    /// Whether it reads the feed: not for a connection without targets, whose client is only kept.
    reads: bool,
    state: Mutex<State>,
    stop: CancellationToken,
    originals: Option<Arc<Originals>>,
    /// What it serves has changed.
    changed: Notify,
    task: tokio::sync::Mutex<Option<JoinHandle<Result<(), AppError>>>>,
}

struct State {
    served: Vec<Arc<Served>>,
    /// While it runs.
    control: Option<LaneControl<KafkaLeaf>>,
    counters: Arc<LaneCounters>,
    /// Only of a Kafka feed.
    monitor: Option<ConsumerMonitor>,
    /// Only of one that does not read: it has its client.
    keeps: bool,
    /// When it was last started.
    started: Instant,
    /// Why it last ended.
    failure: Option<(SystemTime, Failure)>,
    /// What was committed before does not count.
    skips_committed: bool,
}

/// How a run of a lane ends.
type Ended = oneshot::Receiver<Result<(), AppError>>;

/// Between two starts of a lane that fails, from the first pause to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A lane that has its position and has run for so long does not fail any more.
const SETTLED: Duration = Duration::from_secs(5);

impl LaneTask {
    /// Starts it. Nothing is waited for.
    pub(super) fn start(
        plane: &DataPlane,
        lane: lanes::Lane,
        served: Vec<Arc<Served>>,
        skips_committed: bool,
    ) -> Arc<Self> {
        let lanes::Lane { name, group, reads, .. } = lane;
        let state = State {
            served,
            control: None,
            counters: Arc::default(),
            monitor: None,
            keeps: false,
            started: Instant::now(),
            failure: None,
            skips_committed,
        };
        let task = Arc::new(Self {
            name,
            group,
            reads,
            state: Mutex::new(state),
            stop: plane.0.stop.child_token(),
            originals: Originals::of(plane).filter(|_| reads),
            changed: Notify::new(),
            task: tokio::sync::Mutex::default(),
        });
        let supervising = tokio::spawn(Arc::clone(&task).supervise(plane.clone()));
        // Nobody else has it yet.
        if let Ok(mut handle) = task.task.try_lock() {
            *handle = Some(supervising);
        }
        task
    }

    async fn supervise(self: Arc<Self>, plane: DataPlane) -> Result<(), AppError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let run = self.run(&plane);
            let ended = match run {
                Ok(ended) => {
                    let panicked = |_| Err(AppError::Internal("its thread panicked".to_owned()));
                    ended.await.unwrap_or_else(panicked)
                }
                Err(error) => Err(error),
            };
            let has_run = {
                let mut state = locked(&self.state);
                state.control = None;
                state.keeps = false;
                // From then on its position is its own.
                state.skips_committed &= !state.monitor.as_ref().is_some_and(ConsumerMonitor::has_joined);
                state.started.elapsed()
            };
            let error = match ended {
                Err(error) if plane.restarts() && !self.stop.is_cancelled() => error,
                ended => {
                    if !self.stop.is_cancelled() {
                        // Who waits for the end takes the failure from there.
                        let _told = plane.0.ends.send(ended);
                        return Ok(());
                    }
                    return ended;
                }
            };
            if has_run > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            tell_of_end(&self.name, &error, pause);
            let failure = Failure {
                reason: format!("its lane has failed: {}", chain(&error)),
                is_misconfigured: false,
            };
            locked(&self.state).failure = Some((SystemTime::now(), failure));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // What was wrong may be right now.
                () = self.changed.notified() => pause = FIRST_PAUSE,
                () = self.stop.cancelled() => return Ok(()),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Starts a thread for it, with everything that it serves now.
    fn run(&self, plane: &DataPlane) -> Result<Ended, AppError> {
        // Whoever changes it finds either what it served before, or the control of what runs.
        let mut state = locked(&self.state);
        state.started = Instant::now();
        let (served, totals) = (state.served.len(), Totals::of_lane(&state.counters.snapshot()));
        plane.retire(&totals);
        state.counters = Arc::default();
        if !self.reads {
            return self.keep(plane, &mut state);
        }
        let ended = match &plane.0.config.feed {
            FeedConfig::Ndjson { .. } => self.run_lines(plane, &mut state),
            FeedConfig::Kafka(feed) => self.run_kafka(plane, &mut state, feed),
        }?;
        tell_of_start(&self.name, served);
        Ok(ended)
    }

    /// Holds the client of a connection that has nothing to publish.
    fn keep(&self, plane: &DataPlane, state: &mut State) -> Result<Ended, AppError> {
        let leaves = self.leaves(plane, state)?;
        let (ending, ended) = oneshot::channel();
        let stop = self.stop.clone();
        tokio::spawn(async move {
            stop.cancelled().await;
            drop(leaves);
            // Whoever waits for it may have given up.
            let _sent = ending.send(Ok(()));
        });
        state.keeps = true;
        Ok(ended)
    }

    fn run_lines(&self, plane: &DataPlane, state: &mut State) -> Result<Ended, AppError> {
        let Some(lines) = locked(&plane.0.lines).take() else {
            return Err(AppError::Internal("the lines were read already".to_owned()));
        };
        let file = |path: &PathBuf, error| AppError::File(path.display().to_string(), error);
        let max_bytes = plane.0.config.policy.limits.max_bytes;
        let feed = NdjsonFeed::start(lines.input, max_bytes, self.stop.clone())
            .map_err(|error| file(&lines.path, error))?;
        let path = lines.path;
        let end = async move |feed: NdjsonFeed| feed.failure().map_err(|error| file(&path, error));
        if let Some(to) = plane.stamps_to() {
            let leaf = |served: &Arc<Served>| Ok((served.compiled().clone(), LinesLeaf::create(to)?));
            let leaves: std::io::Result<Vec<_>> = state.served.iter().map(leaf).collect();
            let leaves = leaves.map_err(|error| AppError::File(to.display().to_string(), error))?;
            let lane = self.lane(plane, feed, leaves, lines.acknowledgements);
            state.counters = lane.counters();
            return spawn(drain(lane, self.stop.clone(), Self::grace(plane), end));
        }
        let leaves = self.leaves(plane, state)?;
        let lane = self.lane(plane, feed, leaves, lines.acknowledgements);
        let lane = self.keep_originals(plane, lane)?;
        state.counters = lane.counters();
        state.control = Some(lane.control());
        spawn(drain(lane, self.stop.clone(), Self::grace(plane), end))
    }

    fn run_kafka(
        &self,
        plane: &DataPlane,
        state: &mut State,
        config: &KafkaFeedConfig,
    ) -> Result<Ended, AppError> {
        let settings = ConsumerSettings::new(config.cluster.clone(), &*self.group, &config.topics)
            .with_start_at(config.start_at)
            .with_committed_skipped(state.skips_committed)
            .with_on_truncation(config.on_truncation)
            .with_instance_id(config.instance_id.clone())
            .with_session_timeout(config.session_timeout)
            .with_group_protocol(config.group_protocol)
            .with_max_value_bytes(plane.0.config.policy.limits.max_bytes);
        let leaves = self.leaves(plane, state)?;
        let name = format!("the feed of `{}`", self.name);
        let consumer = Consumer::start(&settings).map_err(|error| AppError::Client(name.clone(), error))?;
        state.monitor = Some(consumer.monitor());
        let lane = self.lane(plane, KafkaFeed::new(consumer, self.stop.clone()), leaves, plane.sink());
        let lane = self.keep_originals(plane, lane)?;
        state.counters = lane.counters();
        state.control = Some(lane.control());
        let grace = Self::grace(plane);
        let end = async move |feed: KafkaFeed| {
            feed.close(grace().left()).await.map_err(|error| AppError::Client(name, error))
        };
        spawn(drain(lane, self.stop.clone(), Self::grace(plane), end))
    }

    /// What publishes for each connection. One whose client cannot be made is left out; if that leaves none, it is a failure
    /// of the lane: with nobody to publish for, it would leave behind what it reads.
    fn leaves(
        &self,
        plane: &DataPlane,
        state: &State,
    ) -> Result<Vec<(Arc<CompiledConnection>, KafkaLeaf)>, AppError> {
        let (mut leaves, mut last) = (Vec::new(), None);
        for served in &state.served {
            match served.leaf(plane.pool()) {
                Ok(leaf) => leaves.push((served.compiled().clone(), leaf)),
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) if leaves.is_empty() => Err(error),
            _ => Ok(leaves),
        }
    }

    fn lane<F: Feed, L: Leaf>(
        &self,
        plane: &DataPlane,
        feed: F,
        leaves: Vec<(Arc<CompiledConnection>, L)>,
        sink: Box<dyn AcknowledgementSink>,
    ) -> Lane<F, L> {
        let lane = Lane::new(feed, Intake::new(plane.0.config.policy.clone()), leaves, sink);
        match &*locked(&plane.0.directory) {
            Some(directory) => lane.with_directory(Box::new(directory.lane())),
            None => lane,
        }
    }

    /// Has a lane keep records of the feed that are no signals or have failed, if the configuration says where.
    fn keep_originals<F: Feed>(
        &self,
        plane: &DataPlane,
        lane: Lane<F, KafkaLeaf>,
    ) -> Result<Lane<F, KafkaLeaf>, AppError> {
        let Some(originals) = &self.originals else { return Ok(lane) };
        let (compiled, leaf) = originals
            .leaf(plane.pool())
            .map_err(|error| AppError::Client("the dead letters".to_owned(), error))?;
        Ok(lane.with_originals(compiled, leaf))
    }

    /// What keeps records of the feed as they were, if anything does.
    pub(crate) fn originals(&self) -> Option<&Arc<Originals>> {
        self.originals.as_ref()
    }

    /// How long its end may take: with the service, all that there is; by itself, as a connection that closes.
    fn grace(plane: &DataPlane) -> impl Fn() -> Grace + Send + use<> {
        let (stop, grace) = (plane.0.stop.clone(), plane.grace().clone());
        move || if stop.is_cancelled() { grace.clone() } else { Grace::new(CLOSING) }
    }

    /// Serves a connection, in the place of the one with its id if there is one.
    pub(super) async fn serve(&self, plane: &DataPlane, served: Arc<Served>, grace: Duration) {
        let before = {
            let mut state = locked(&self.state);
            let before = state.served.iter_mut().find(|it| it.id() == served.id());
            match before {
                Some(before) => {
                    served.follows(before);
                    Some(std::mem::replace(before, Arc::clone(&served)))
                }
                None => {
                    state.served.push(Arc::clone(&served));
                    None
                }
            }
        };
        self.changed.notify_one();
        self.serve_again(plane, &served, grace).await;
        if let Some(before) = before {
            plane.retire(&Totals::of_targets(before.compiled()));
        }
    }

    /// Serves a connection that it has already.
    pub(super) async fn serve_again(&self, plane: &DataPlane, served: &Arc<Served>, grace: Duration) {
        let control = locked(&self.state).control.clone();
        // Without it the lane starts just now, or will: with this connection.
        let Some(control) = control else { return };
        // If the lane has ended meanwhile, the same.
        let _ended = match served.leaf(plane.pool()) {
            Ok(leaf) => control.serve(served.compiled().clone(), leaf, grace).await,
            // What was served before is not what is wanted.
            Err(_) => control.close(served.id(), grace).await,
        };
    }

    /// Serves a connection no longer.
    pub(super) async fn leave(&self, plane: &DataPlane, id: &str, grace: Duration) {
        let (control, before) = {
            let mut state = locked(&self.state);
            let at = state.served.iter().position(|it| it.id() == id);
            (state.control.clone(), at.map(|at| state.served.remove(at)))
        };
        if let Some(control) = control {
            let _ended = control.close(id, grace).await;
        }
        if let Some(before) = before {
            plane.retire(&Totals::of_targets(before.compiled()));
        }
    }

    /// Stops it, and waits until it has ended; why, if it was no good end.
    pub(super) async fn end(&self) -> Result<(), AppError> {
        self.stop.cancel();
        match self.task.lock().await.take() {
            Some(task) => task.await.unwrap_or_else(|panic| Err(AppError::Internal(panic.to_string()))),
            None => Ok(()),
        }
    }

    /// Counts what it has read among what is no more.
    pub(super) fn retire(&self, plane: &DataPlane) {
        plane.retire(&Totals::of_lane(&self.counts()));
    }

    pub(crate) fn counts(&self) -> LaneCounts {
        locked(&self.state).counters.snapshot()
    }

    pub(crate) fn monitor(&self) -> Option<ConsumerMonitor> {
        locked(&self.state).monitor.clone()
    }

    pub(crate) fn all_served(&self) -> Vec<Arc<Served>> {
        locked(&self.state).served.clone()
    }

    pub(crate) fn served(&self, id: &str) -> Option<Arc<Served>> {
        locked(&self.state).served.iter().find(|it| it.id() == id).cloned()
    }

    /// Whether it reads the feed.
    pub(crate) fn reads(&self) -> bool {
        self.reads
    }

    /// Whether it knows where it reads, or has nothing to read.
    pub(super) fn has_position(&self) -> bool {
        let state = locked(&self.state);
        state.keeps
            || state.control.is_some() && state.monitor.as_ref().is_none_or(ConsumerMonitor::has_joined)
    }

    /// Why it does not run, or has just not run.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failed().map(|(_, failure)| failure)
    }

    /// The same, with the time.
    pub(crate) fn failed(&self) -> Option<(SystemTime, Failure)> {
        let is_settled = self.has_position();
        let state = locked(&self.state);
        state.failure.clone().filter(|_| !is_settled || state.started.elapsed() < SETTLED)
    }
}

/// Runs a lane; once it is to stop, for the grace time at most. Then ends its feed, if everything has settled.
async fn drain<F: Feed, L: Leaf>(
    lane: Lane<F, L>,
    stop: CancellationToken,
    grace: impl Fn() -> Grace,
    end: impl AsyncFnOnce(F) -> Result<(), AppError>,
) -> Result<(), AppError> {
    let overdue = async {
        stop.cancelled().await;
        let grace = grace();
        tokio::time::sleep(grace.left()).await;
        grace.total()
    };
    tokio::select! {
        feed = lane.run() => end(feed).await,
        grace = overdue => {
            warn!(?grace, "stopped before everything was sent; a replayable feed hands it out again");
            Ok(())
        }
    }
}

/// Runs a lane in a thread of its own: what it works on stays in one core's cache, and no lane waits for another.
fn spawn(lane: impl Future<Output = Result<(), AppError>> + Send + 'static) -> Result<Ended, AppError> {
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
    Ok(ended)
}
