//! What one client may hold, shared by its publishers.

use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use crate::lock::lock;
use crate::settings::Bounds;

/// Records and bytes between the call that enqueues and the delivery report.
///
/// INVARIANT: what is acquired here is released exactly once: by the poll thread for a record that was
/// enqueued, by the publisher for one that was not.
#[derive(Debug)]
pub(crate) struct Permits {
    bounds: Bounds,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    records: usize,
    bytes: usize,
    waiting: Vec<Waker>,
}

impl Permits {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, held: Mutex::default() }
    }

    /// Takes records and bytes if there is room for all of them.
    pub(crate) fn try_acquire(&self, records: usize, bytes: usize) -> bool {
        lock(&self.held).acquire(records, bytes, self.bounds)
    }

    /// As [`Self::try_acquire`]; without room the task is woken when there may be.
    pub(crate) fn poll_acquire(&self, cx: &mut Context<'_>, records: usize, bytes: usize) -> Poll<()> {
        let mut held = lock(&self.held);
        if held.acquire(records, bytes, self.bounds) {
            return Poll::Ready(());
        }
        if !held.waiting.iter().any(|it| it.will_wake(cx.waker())) {
            held.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Takes bytes whether there is room or not: for a record that turned out larger than announced.
    pub(crate) fn charge(&self, bytes: usize) {
        let mut held = lock(&self.held);
        held.bytes = held.bytes.saturating_add(bytes);
    }

    /// Gives back, and wakes all who wait: each takes what it needs in the order it is polled.
    pub(crate) fn release(&self, records: usize, bytes: usize) {
        let waiting = {
            let mut held = lock(&self.held);
            held.records = held.records.saturating_sub(records);
            held.bytes = held.bytes.saturating_sub(bytes);
            std::mem::take(&mut held.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Records and bytes held.
    #[cfg(test)]
    pub(crate) fn in_use(&self) -> (usize, usize) {
        let held = lock(&self.held);
        (held.records, held.bytes)
    }
}

impl Held {
    fn acquire(&mut self, records: usize, bytes: usize, bounds: Bounds) -> bool {
        let records = self.records.saturating_add(records);
        let bytes = self.bytes.saturating_add(bytes);
        let fits = records <= bounds.records && bytes <= bounds.bytes;
        if fits {
            self.records = records;
            self.bytes = bytes;
        }
        fits
    }
}

#[cfg(test)]
mod tests;
