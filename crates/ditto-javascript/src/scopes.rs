//! The scopes of all mappers: as many as there may be, and the watchdog of their time.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

use crate::engine::{Engine, Script};
use crate::guard::Met;
use crate::limits::ScriptLimits;
use crate::watchdog::Watchdog;

/// What scripts have used, of all mappers of a factory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScriptUsage {
    /// Scopes that are there.
    pub scopes: usize,
    /// Bytes that they have.
    pub bytes: usize,
    /// Scopes that were made so far.
    pub made: u64,
    /// Scopes that made room for others.
    pub evicted: u64,
    /// Calls that met the bound on time.
    pub out_of_time: u64,
    /// Calls that met the bound on memory.
    pub out_of_memory: u64,
    /// Definitions whose scripts still run though their time is over, since the engine is busy by itself; and for how long.
    pub overdue: Vec<(String, Duration)>,
}

/// What all mappers of a factory share.
pub(crate) struct Scopes {
    limits: ScriptLimits,
    start: Instant,
    /// Those that have an engine.
    live: Mutex<Vec<Weak<Scope>>>,
    watchdog: Mutex<Option<Arc<Watchdog>>>,
    made: AtomicU64,
    evicted: AtomicU64,
    out_of_time: AtomicU64,
    out_of_memory: AtomicU64,
}

/// The scope of one mapper.
#[derive(Debug)]
pub(crate) struct Scope {
    scopes: Arc<Scopes>,
    name: Box<str>,
    engine: Mutex<Option<Engine>>,
    /// Nanoseconds.
    last_used: AtomicU64,
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scopes").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// A panic elsewhere leaves nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scopes {
    pub(crate) fn new(limits: ScriptLimits) -> Self {
        Self {
            limits,
            start: Instant::now(),
            live: Mutex::default(),
            watchdog: Mutex::default(),
            made: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            out_of_time: AtomicU64::new(0),
            out_of_memory: AtomicU64::new(0),
        }
    }

    pub(crate) fn limits(&self) -> &ScriptLimits {
        &self.limits
    }

    pub(crate) fn usage(&self) -> ScriptUsage {
        let live: Vec<_> = lock(&self.live).iter().filter_map(Weak::upgrade).collect();
        let watchdog = lock(&self.watchdog).clone();
        ScriptUsage {
            scopes: live.len(),
            // One that runs is not waited for.
            bytes: live.iter().filter_map(|scope| Some(scope.engine.try_lock().ok()?.as_ref()?.used())).sum(),
            made: self.made.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            out_of_time: self.out_of_time.load(Relaxed),
            out_of_memory: self.out_of_memory.load(Relaxed),
            overdue: watchdog.map_or_else(Vec::new, |watchdog| watchdog.overdue()),
        }
    }

    /// A scope in which the scripts have been evaluated. It does not count as one that is kept.
    ///
    /// # Errors
    /// The name of the script that is none or throws, and why, with its place.
    pub(crate) fn engine(
        &self,
        name: &str,
        scripts: &[Script<'_>],
    ) -> Result<Engine, (&'static str, String)> {
        let watchdog =
            self.watchdog().map_err(|error| ("", format!("there is no room for a thread: {error}")))?;
        let made = Engine::new(name, scripts, self.limits, &watchdog);
        self.made.fetch_add(1, Relaxed);
        made
    }

    fn watchdog(&self) -> std::io::Result<Arc<Watchdog>> {
        let mut watchdog = lock(&self.watchdog);
        if let Some(watchdog) = &*watchdog {
            return Ok(watchdog.clone());
        }
        let started = Arc::new(Watchdog::start()?);
        *watchdog = Some(started.clone());
        Ok(started)
    }

    /// Takes the engines that were used longest ago, until there is room for one more. Those at work stay, so there may
    /// be as many as lanes even if that is more.
    fn make_room(&self) {
        let mut live = lock(&self.live);
        live.retain(|scope| scope.strong_count() > 0);
        let mut taken = Vec::new();
        while live.len() >= self.limits.max_scopes {
            let mut by_age: Vec<_> =
                live.iter().enumerate().filter_map(|(at, scope)| Some((scope.upgrade()?, at))).collect();
            by_age.sort_by_key(|(scope, _)| scope.last_used.load(Relaxed));
            let evicted = by_age.iter().find_map(|(scope, at)| {
                let mut engine = match scope.engine.try_lock() {
                    Ok(engine) => engine,
                    Err(TryLockError::Poisoned(engine)) => engine.into_inner(),
                    Err(TryLockError::WouldBlock) => return None,
                };
                Some((*at, engine.take()))
            });
            let Some((at, engine)) = evicted else { break };
            live.swap_remove(at);
            self.evicted.fetch_add(1, Relaxed);
            taken.push(engine);
        }
        drop(live);
    }

    fn count(&self, met: Met) {
        let counter = match met {
            Met::Time => &self.out_of_time,
            Met::Memory => &self.out_of_memory,
        };
        counter.fetch_add(1, Relaxed);
    }
}

impl Scope {
    pub(crate) fn new(scopes: Arc<Scopes>, name: &str) -> Arc<Self> {
        Arc::new(Self { scopes, name: name.into(), engine: Mutex::default(), last_used: AtomicU64::new(0) })
    }

    /// Calls what is in the scope, which is made first if it is not there. After a call that has met a bound nobody knows
    /// what is left, so it is taken away.
    ///
    /// # Errors
    /// It could not be made, or what `call` says.
    pub(crate) fn run<R>(
        self: &Arc<Self>,
        scripts: &[Script<'_>],
        call: impl FnOnce(&mut Engine) -> Result<R, String>,
    ) -> Result<R, String> {
        let now = u64::try_from(self.scopes.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last_used.store(now, Relaxed);
        let mut kept = lock(&self.engine);
        let engine = match &mut *kept {
            Some(engine) => engine,
            None => {
                self.scopes.make_room();
                let made = self.scopes.engine(&self.name, scripts).map_err(|(_, why)| why)?;
                lock(&self.scopes.live).push(Arc::downgrade(self));
                kept.insert(made)
            }
        };
        let result = call(engine);
        if let Some(met) = engine.met() {
            *kept = None;
            drop(kept);
            self.scopes.count(met);
            let itself = Arc::as_ptr(self);
            lock(&self.scopes.live).retain(|scope| scope.as_ptr() != itself);
        }
        result
    }
}
