//! What knows the current state of things, and who may read them.

mod file_source;
mod http_source;
mod knowledge;
mod lookups;
mod memory_source;
mod source;
mod topic_source;

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use ditto_authorization::Enforcer;
use ditto_outbound::{Directory, DirectoryAnswer};
use ditto_protocol::{EntityKind, Signal};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinHandle, JoinSet};
use tracing::{info, warn};

use self::file_source::FileSource;
use self::http_source::HttpSource;
use self::knowledge::{Asker, Fact, Knowledge, Policed, Rules};
pub use self::lookups::DirectoryCounts;
use self::lookups::{Bounds, LaneId, Lookups, Next, Request};
pub use self::memory_source::Memory;
use self::source::{Finding, Outage, Source};
use self::topic_source::TopicSource;
use crate::config::{DirectoryConfig, SourceConfig};

/// A directory that all lanes share: what one has asked for, the others need not.
///
/// It looks up by itself as long as it lives; dropping it ends that. What was known then stays known to the handles for as
/// long as it counts.
#[derive(Debug)]
pub struct SharedDirectory {
    shared: Arc<Shared>,
    worker: JoinHandle<()>,
}

/// The handle of one lane.
#[derive(Debug)]
pub struct LaneDirectory {
    shared: Arc<Shared>,
    lane: LaneId,
    /// The id of the thing that is asked for; the buffer is used again.
    thing: String,
}

/// Why a directory cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("the directory cannot be started: {why}")]
pub struct DirectoryError {
    why: String,
}

impl DirectoryError {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

#[derive(Debug)]
struct Shared {
    knowledge: Mutex<Knowledge>,
    /// Something is to be looked up.
    work: Notify,
    timeout: Duration,
}

impl SharedDirectory {
    /// Starts it. It looks things up by tasks of `runtime`, which needs I/O and time.
    ///
    /// # Errors
    /// Its source cannot be used at all. That nobody answers is no error: what is asked for waits.
    pub fn start(config: &DirectoryConfig, runtime: &Handle) -> Result<Self, DirectoryError> {
        let source: Arc<dyn Source> = match &config.source {
            SourceConfig::Http(http) => Arc::new(HttpSource::new(http)?),
            SourceConfig::Files { folder } => Arc::new(FileSource::new(folder.clone())),
            SourceConfig::Topics(topics) => Arc::new(TopicSource::start(topics)?),
            SourceConfig::Memory(memory) => Arc::new(memory.clone()),
        };
        let bounds = Bounds {
            max_age: config.policy_age.max(config.thing_age),
            absent_age: config.absent_age,
            max_lag: config.max_lag,
            concurrency: config.concurrency,
            max_bytes: config.max_bytes,
        };
        let rules = Rules {
            policy_age: config.policy_age,
            thing_age: config.thing_age,
            heeds_events: config.heeds_events,
            sees_everything: source.sees_everything(),
        };
        let shared = Arc::new(Shared {
            knowledge: Mutex::new(Knowledge::new(Lookups::new(bounds), rules)),
            work: Notify::new(),
            timeout: config.timeout,
        });
        let worker = runtime.spawn(Worker { shared: shared.clone(), source }.run());
        Ok(Self { shared, worker })
    }

    /// A handle for one more lane.
    #[must_use]
    pub fn lane(&self) -> LaneDirectory {
        let lane = self.shared.knowledge().lookups.lanes().enter();
        LaneDirectory { shared: self.shared.clone(), lane, thing: String::new() }
    }

    /// Tells how it does, as long as anybody has it.
    #[must_use]
    pub fn monitor(&self) -> DirectoryMonitor {
        DirectoryMonitor(self.shared.clone())
    }
}

impl Drop for SharedDirectory {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

/// Tells how a directory does.
#[derive(Debug, Clone)]
pub struct DirectoryMonitor(Arc<Shared>);

impl DirectoryMonitor {
    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> DirectoryCounts {
        self.0.knowledge().lookups.counts()
    }

    /// Why questions are not answered, if one was not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.0.knowledge().lookups.trouble().map(str::to_owned)
    }
}

/// One line.
impl fmt::Display for DirectoryMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DirectoryCounts { lookups, hits, misses, not_modified, absent, outages, .. } = self.counts();
        write!(
            f,
            "directory: {hits} answers at once, {misses} later, {lookups} look-ups: {not_modified} not modified, \
             {absent} absent, {outages} not answered"
        )
    }
}

impl Shared {
    fn knowledge(&self) -> MutexGuard<'_, Knowledge> {
        self.knowledge.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LaneDirectory {
    /// Asks for the thing of a signal; nobody else has a policy or a state here.
    fn ask<T>(&mut self, signal: &Signal, ask: impl FnOnce(&mut Knowledge, &Asker<'_>) -> T) -> Option<T> {
        let entity = signal.entity();
        if entity.kind() != EntityKind::Thing {
            return None;
        }
        self.thing.clear();
        let _never = write!(self.thing, "{entity}");
        let asker =
            Asker { lane: self.lane, thing: &self.thing, now: Instant::now(), clock: SystemTime::now() };
        let mut knowledge = self.shared.knowledge();
        let answer = ask(&mut knowledge, &asker);
        let has_work = knowledge.lookups.take_work();
        drop(knowledge);
        if has_work {
            self.shared.work.notify_one();
        }
        Some(answer)
    }
}

impl Directory for LaneDirectory {
    fn observe(&mut self, signal: &Signal) {
        self.ask(signal, |knowledge, asker| knowledge.observe(signal, asker.thing));
    }

    fn enforcer(&mut self, signal: &Signal) -> DirectoryAnswer<Arc<Enforcer>> {
        loop {
            match self.ask(signal, |knowledge, asker| knowledge.enforcer(signal, asker)) {
                None => return DirectoryAnswer::Absent,
                Some(Policed::Compile(to_compile)) => {
                    // Nobody else waits for that.
                    let enforcer = to_compile.compile(SystemTime::now());
                    self.shared.knowledge().keep(*to_compile, enforcer);
                }
                Some(Policed::Answer(answer)) => return answer,
            }
        }
    }

    fn thing(&mut self, signal: &Signal) -> DirectoryAnswer<Arc<str>> {
        let answer = self.ask(signal, |knowledge, asker| knowledge.thing(signal, asker));
        answer.unwrap_or(DirectoryAnswer::Absent)
    }

    fn poll_answers(&mut self, cx: &mut Context<'_>, things: &mut Vec<String>) -> Poll<()> {
        self.shared.knowledge().lookups.lanes().poll(self.lane, cx, things)
    }

    fn trouble(&self) -> Option<String> {
        self.shared.knowledge().lookups.trouble().map(str::to_owned)
    }
}

impl Drop for LaneDirectory {
    fn drop(&mut self) {
        self.shared.knowledge().lookups.lanes().leave(self.lane);
    }
}

/// What looks up.
struct Worker {
    shared: Arc<Shared>,
    source: Arc<dyn Source>,
}

impl Worker {
    async fn run(self) {
        let mut asking: JoinSet<Finding<Fact>> = JoinSet::new();
        let mut requests: HashMap<Id, Request> = HashMap::new();
        let mut is_in_trouble = false;
        loop {
            let until = loop {
                let next = self.shared.knowledge().lookups.next(Instant::now());
                match next {
                    Next::Ask(request) => {
                        let task =
                            asking.spawn(look_up(self.source.clone(), request.clone(), self.shared.timeout));
                        requests.insert(task.id(), request);
                    }
                    Next::Wait(until) => break until,
                }
            };
            let due = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(done) = asking.join_next_with_id() => {
                    let (task, finding) = finding(done);
                    if let Some(request) = requests.remove(&task) {
                        self.shared.knowledge().lookups.answered(&request, finding, Instant::now());
                    }
                }
                () = self.shared.work.notified() => {}
                () = due => {}
            }
            self.tell_trouble(&mut is_in_trouble);
        }
    }

    fn tell_trouble(&self, was_in_trouble: &mut bool) {
        let trouble = self.shared.knowledge().lookups.trouble().map(str::to_owned);
        match (&trouble, *was_in_trouble) {
            (Some(why), false) => warn!(why, "the directory is not answered; what it does not know waits"),
            (None, true) => info!("the directory is answered again"),
            _ => {}
        }
        *was_in_trouble = trouble.is_some();
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("source", &self.source).finish_non_exhaustive()
    }
}

/// A look-up that panics must not be waited for.
fn finding(done: Result<(Id, Finding<Fact>), JoinError>) -> (Id, Finding<Fact>) {
    done.unwrap_or_else(|error| {
        let outage = Outage::of_entry("the look-up ended unexpectedly; this is a bug");
        (error.id(), Finding::Unavailable(outage))
    })
}

async fn look_up(source: Arc<dyn Source>, request: Request, timeout: Duration) -> Finding<Fact> {
    let Request { key, validator, .. } = &request;
    match tokio::time::timeout(timeout, source.look_up(key, validator.as_deref())).await {
        Ok(Finding::Found { value, validator }) => {
            Finding::Found { value: Fact::read(key, value), validator }
        }
        Ok(Finding::NotModified) => Finding::NotModified,
        Ok(Finding::Absent) => Finding::Absent,
        Ok(Finding::Unavailable(outage)) => Finding::Unavailable(outage),
        Err(_) => {
            Finding::Unavailable(Outage::of_entry(format!("no answer within {timeout:?} for {}", key.id)))
        }
    }
}
