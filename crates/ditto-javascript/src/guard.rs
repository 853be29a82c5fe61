//! What one scope may use, and whether it has.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};

use crate::limits::ScriptLimits;

/// Bounds of one scope. The thread that runs it, its allocator and the watchdog share them.
#[derive(Debug)]
pub(crate) struct Guard {
    /// The definition whose scripts run here.
    name: Box<str>,
    limits: ScriptLimits,
    /// Number of the last call; odd while it runs.
    call: AtomicU64,
    /// The call whose time is over.
    over: AtomicU64,
    /// The thread of the call, as the kernel numbers it; 0 if nobody knows.
    task: AtomicU32,
    /// Bytes.
    used: AtomicUsize,
    /// Bytes beyond the bounds, for the error that ends a call.
    reserve: AtomicUsize,
    /// Whether the call was refused memory.
    is_short: AtomicBool,
}

/// Which bound a call has met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    Time,
    Memory,
}

/// An error that cannot be caught is an object with a text and a stack; without room for it the script would go on. The engine
/// asks for its smallest blocks in pages of 4 KiB.
const RESERVE: usize = 32 << 10;

impl Guard {
    pub(crate) fn new(name: &str, limits: ScriptLimits) -> Self {
        Self {
            name: name.into(),
            limits,
            call: AtomicU64::new(0),
            over: AtomicU64::new(0),
            task: AtomicU32::new(0),
            used: AtomicUsize::new(0),
            reserve: AtomicUsize::new(0),
            is_short: AtomicBool::new(false),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn limits(&self) -> &ScriptLimits {
        &self.limits
    }

    /// A call begins, on this thread. What it uses is counted from here.
    pub(crate) fn begin(&self, task: u32) {
        self.task.store(task, Relaxed);
        self.is_short.store(false, Relaxed);
        self.reserve.store(0, Relaxed);
        // Before the watchdog is asked whether it sleeps.
        self.call.store(self.call.load(Relaxed) + 1, SeqCst);
    }

    /// The call has ended: which bound it has met.
    pub(crate) fn end(&self) -> Option<Met> {
        let met = self.met();
        self.call.store(self.call.load(Relaxed) + 1, SeqCst);
        met
    }

    /// Which bound the call has met so far.
    pub(crate) fn met(&self) -> Option<Met> {
        if self.is_over() {
            return Some(Met::Time);
        }
        self.is_short.load(Relaxed).then_some(Met::Memory)
    }

    /// The call that runs and its thread.
    pub(crate) fn running(&self) -> Option<(u64, u32)> {
        let call = self.call.load(SeqCst);
        (call % 2 == 1).then(|| (call, self.task.load(Relaxed)))
    }

    /// The time of this call is over; of a later one it is not.
    pub(crate) fn set_over(&self, call: u64) {
        self.over.store(call, Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        let call = self.call.load(Relaxed);
        call % 2 == 1 && self.over.load(Relaxed) == call
    }

    /// What the engine asks now and then: whether the script is to end. It does not go on without memory that it was refused,
    /// since the engine does not always say so to the script.
    pub(crate) fn is_interrupted(&self) -> bool {
        let is_interrupted = self.met().is_some();
        if is_interrupted {
            self.reserve.store(RESERVE, Relaxed);
        }
        is_interrupted
    }

    /// Whether there is room for so many bytes more.
    ///
    /// Work within the engine that is long needs memory. When time is over it gets none, so that it ends without the
    /// script's being asked.
    pub(crate) fn take(&self, size: usize) -> bool {
        let used = self.used.load(Relaxed);
        let sum = used.saturating_add(size);
        let is_over = self.is_over();
        // Only the thread that runs the scope, and whoever has it after that thread, comes here.
        if !is_over && size <= self.limits.max_memory / 4 && sum <= self.limits.max_memory {
            self.used.store(sum, Relaxed);
            return true;
        }
        let reserve = self.reserve.load(Relaxed);
        if size <= reserve {
            self.reserve.store(reserve - size, Relaxed);
            self.used.store(sum, Relaxed);
            return true;
        }
        if !is_over {
            self.is_short.store(true, Relaxed);
        }
        false
    }

    pub(crate) fn give_back(&self, size: usize) {
        self.used.store(self.used.load(Relaxed).saturating_sub(size), Relaxed);
    }

    /// Bytes that the scope has.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard::new("g", ScriptLimits { max_memory: 1 << 20, ..ScriptLimits::default() })
    }

    #[test]
    fn memory_is_bounded_as_a_whole_and_by_the_block() {
        let guard = guard();
        guard.begin(0);
        assert!(!guard.take((1 << 18) + 1), "larger than a quarter");
        assert_eq!(guard.met(), Some(Met::Memory));
        assert!((0..4).all(|_| guard.take(1 << 18)));
        assert!(!guard.take(1));
        guard.give_back(1 << 18);
        assert!(guard.take(1));
        assert!(!guard.take(usize::MAX));
        assert_eq!(guard.end(), Some(Met::Memory));
        guard.begin(0);
        assert_eq!(guard.end(), None);
    }

    #[test]
    fn what_is_over_gets_no_memory_but_for_the_error_that_ends_it() {
        let guard = guard();
        guard.begin(7);
        let (call, task) = guard.running().unwrap();
        assert_eq!(task, 7);
        guard.set_over(call);
        assert!(!guard.take(1));
        assert!(guard.is_interrupted());
        assert!(guard.take(RESERVE / 2) && guard.take(RESERVE / 2));
        assert!(!guard.take(1));
        assert_eq!(guard.end(), Some(Met::Time));
        assert_eq!(guard.running(), None);
        guard.begin(7);
        assert!(!guard.is_interrupted(), "only that call was over");
    }
}
