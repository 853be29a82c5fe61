//! The thread that looks after the time of all scripts.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::guard::Guard;

/// Looks every few milliseconds, while something runs, at how long it has. Scripts are not asked: what keeps the engine
/// busy without coming back to the script is seen as well.
///
/// Time is that of the processor, since a script is not slow because its machine is busy or its container was stopped
/// for a while. Where the system does not tell it, it is that of the clock.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    watched: Mutex<Vec<Watched>>,
    is_asleep: AtomicBool,
    is_closed: AtomicBool,
}

#[derive(Debug)]
struct Watched {
    guard: Weak<Guard>,
    seen: Option<Seen>,
}

/// A call that ran when somebody looked.
#[derive(Debug)]
struct Seen {
    call: u64,
    since: Instant,
    /// Of its thread.
    cpu: Option<Duration>,
    over_since: Option<Instant>,
}

/// How long a time limit of the processor may take by the clock.
const CLOCK: u32 = 10;
const TICK: Duration = Duration::from_millis(5);
/// Ticks without anything that runs, after which it sleeps.
const IDLE: u32 = 40;

impl Watchdog {
    /// # Errors
    /// There is no room for a thread.
    pub(crate) fn start() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let watching = shared.clone();
        let thread = thread::Builder::new().name("scripts".to_owned()).spawn(move || watching.watch())?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    pub(crate) fn add(&self, guard: &Arc<Guard>) {
        self.shared.lock().push(Watched { guard: Arc::downgrade(guard), seen: None });
    }

    /// A call has begun.
    pub(crate) fn wake(&self) {
        if self.shared.is_asleep.load(SeqCst) {
            self.shared.is_asleep.store(false, SeqCst);
            self.thread.unpark();
        }
    }

    /// The definitions whose scripts still run though their time is over, and for how long.
    pub(crate) fn overdue(&self) -> Vec<(String, Duration)> {
        let watched = self.shared.lock();
        let overdue = watched.iter().filter_map(|watched| {
            let guard = watched.guard.upgrade()?;
            let seen = watched.seen.as_ref()?;
            let is_same = guard.running().is_some_and(|(call, _)| call == seen.call);
            Some((guard.name().to_owned(), seen.over_since.filter(|_| is_same)?.elapsed()))
        });
        overdue.collect()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, SeqCst);
        self.thread.unpark();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut idle = 0;
        while !self.is_closed.load(SeqCst) {
            idle = if self.look() { 0 } else { idle + 1 };
            if idle < IDLE {
                thread::sleep(TICK);
                continue;
            }
            self.is_asleep.store(true, SeqCst);
            // Whoever has begun since then has not seen that nobody looks.
            if !self.look() {
                while self.is_asleep.load(SeqCst) && !self.is_closed.load(SeqCst) {
                    thread::park();
                }
            }
            self.is_asleep.store(false, SeqCst);
            idle = 0;
        }
    }

    /// Whether something runs.
    fn look(&self) -> bool {
        let mut is_busy = false;
        self.lock().retain_mut(|watched| {
            let Some(guard) = watched.guard.upgrade() else { return false };
            is_busy |= watched.look(&guard);
            true
        });
        is_busy
    }
}

impl Watched {
    fn look(&mut self, guard: &Guard) -> bool {
        let Some((call, task)) = guard.running() else { return false };
        let Some(seen) = self.seen.as_mut().filter(|seen| seen.call == call) else {
            self.seen = Some(Seen { call, since: Instant::now(), cpu: cpu_time(task), over_since: None });
            return true;
        };
        let of_processor = seen.cpu.zip(cpu_time(task)).map(|(before, now)| now.saturating_sub(before));
        let (of_clock, most) = (seen.since.elapsed(), guard.limits().max_time);
        if of_processor.unwrap_or(of_clock) > most || of_clock > most * CLOCK {
            guard.set_over(call);
            seen.over_since.get_or_insert_with(Instant::now);
        }
        true
    }
}

/// What a thread of this process has had of the processor.
fn cpu_time(task: u32) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{task}/schedstat")).ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// The number that the kernel gives to this thread; 0 where it cannot be had.
pub(crate) fn task() -> u32 {
    thread_local! {
        static TASK: u32 = fs::read_link("/proc/thread-self")
            .ok()
            .and_then(|path| path.file_name()?.to_str()?.parse().ok())
            .unwrap_or_default();
    }
    TASK.with(|task| *task)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ScriptLimits;

    fn watched(guard: &Arc<Guard>) -> Watched {
        Watched { guard: Arc::downgrade(guard), seen: None }
    }

    fn guard(max_time: Duration) -> Arc<Guard> {
        Arc::new(Guard::new("g", ScriptLimits { max_time, ..ScriptLimits::default() }))
    }

    #[test]
    fn time_is_that_of_the_processor() {
        let guard = guard(Duration::from_secs(3600));
        let mut watched = watched(&guard);
        assert!(!watched.look(&guard), "nothing runs");
        guard.begin(task());
        assert!(watched.look(&guard));
        let seen = watched.seen.as_mut().unwrap();
        assert!(seen.cpu.is_some());
        // As if this thread had begun without any, and a day ago by the clock.
        seen.cpu = Some(Duration::ZERO);
        assert!(watched.look(&guard));
        assert!(!guard.is_over());
        let seen = watched.seen.as_mut().unwrap();
        seen.since = Instant::now().checked_sub(Duration::from_secs(36_001)).unwrap();
        assert!(watched.look(&guard));
        assert!(guard.is_over(), "ten times as long by the clock ends it as well");
        assert!(watched.seen.as_ref().unwrap().over_since.is_some());
    }

    #[test]
    fn each_call_has_its_own_time() {
        let guard = guard(Duration::ZERO);
        let mut watched = watched(&guard);
        guard.begin(0);
        watched.look(&guard);
        watched.look(&guard);
        assert!(guard.is_over());
        guard.end();
        guard.begin(0);
        watched.look(&guard);
        assert!(!guard.is_over());
    }
}
