//! Changing what a lane serves while signals flow.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::driver::Driver;
use crate::leaf::Leaf;
use crate::settle::Settlement;
use crate::target::CompiledConnection;

/// Changes what a lane serves, from anywhere.
///
/// A change is in force from the lane's position in the feed at which it is taken on: signals before it are judged by what
/// was, those after it by what is (design.md §3, invariant 5). Each call is done when nothing of the old is in flight.
#[derive(Debug)]
pub struct LaneControl<L> {
    changes: mpsc::UnboundedSender<Change<L>>,
}

impl<L> Clone for LaneControl<L> {
    fn clone(&self) -> Self {
        Self { changes: self.changes.clone() }
    }
}

/// The lane has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lane has ended")]
pub struct LaneEnded;

#[derive(Debug)]
pub(crate) struct Change<L> {
    /// Which connection goes.
    id: Arc<str>,
    /// What comes in its place, or for the first time.
    next: Option<(Arc<CompiledConnection>, L)>,
    /// How long what is in flight may take.
    grace: Duration,
    done: oneshot::Sender<()>,
}

impl<L> LaneControl<L> {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Change<L>>) {
        let (changes, receiver) = mpsc::unbounded_channel();
        (Self { changes }, receiver)
    }

    /// Serves a connection through a leaf, in place of the one with its id if there is one. What of that one is not
    /// published within the grace time is taken back from its leaf and goes through the new one, in order, if there still
    /// is a target with that address; else it is dropped as [`DropReason::Closed`](crate::DropReason::Closed).
    ///
    /// # Errors
    /// The lane has ended, before or meanwhile.
    pub async fn serve(
        &self,
        connection: Arc<CompiledConnection>,
        leaf: L,
        grace: Duration,
    ) -> Result<(), LaneEnded> {
        self.change(connection.id().into(), Some((connection, leaf)), grace).await
    }

    /// Serves the connection of that id no longer. What is not published within the grace time is dropped as
    /// [`DropReason::Closed`](crate::DropReason::Closed), and is not published later.
    ///
    /// # Errors
    /// The lane has ended, before or meanwhile.
    pub async fn close(&self, id: &str, grace: Duration) -> Result<(), LaneEnded> {
        self.change(id.into(), None, grace).await
    }

    async fn change(
        &self,
        id: Arc<str>,
        next: Option<(Arc<CompiledConnection>, L)>,
        grace: Duration,
    ) -> Result<(), LaneEnded> {
        let (done, is_done) = oneshot::channel();
        self.changes.send(Change { id, next, grace, done }).map_err(|_| LaneEnded)?;
        is_done.await.map_err(|_| LaneEnded)
    }
}

/// For ever, as far as a clock can tell.
const LONG: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// A driver that gets nothing new any more.
pub(crate) struct Leaving<L> {
    driver: Driver<L>,
    /// Whether what it cannot publish goes to the driver that now serves its connection; that one waits for it.
    has_heir: bool,
    deadline: Instant,
    has_given_up: bool,
    done: Option<oneshot::Sender<()>>,
}

impl<L> Change<L> {
    /// Which connection it is about.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl<L: Leaf> Change<L> {
    /// Takes the change on. What leaves is given back; without it the change is done.
    pub(crate) fn apply(self, drivers: &mut Vec<Driver<L>>, can_replay: bool) -> Option<Leaving<L>> {
        let Self { id, next, grace, done } = self;
        let at = drivers.iter().position(|driver| driver.connection().id() == &*id);
        let has_heir = next.is_some();
        let next = next.map(|(connection, leaf)| Driver::new(connection, leaf, can_replay));
        let leaving = match (at, next) {
            (Some(at), Some(next)) => drivers.get_mut(at).map(|driver| std::mem::replace(driver, next)),
            (Some(at), None) => Some(drivers.remove(at)),
            (None, next) => {
                drivers.extend(next);
                None
            }
        };
        let Some(driver) = leaving else {
            // Whoever asked may have gone.
            let _told = done.send(());
            return None;
        };
        let now = Instant::now();
        let deadline = now.checked_add(grace).unwrap_or(now + LONG);
        Some(Leaving { driver, has_heir, deadline, has_given_up: false, done: Some(done) })
    }
}

impl<L: Leaf> Leaving<L> {
    /// Ready once nothing of it is in flight.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        drivers: &mut [Driver<L>],
        settlement: &mut Settlement<T>,
    ) -> Poll<()> {
        loop {
            let id = self.driver.connection().id();
            let heir = drivers.iter_mut().find(|driver| self.has_heir && driver.connection().id() == id);
            let moved = if self.has_given_up {
                self.driver.take_last(cx, heir, settlement)
            } else if Instant::now() >= self.deadline && !self.driver.is_idle() {
                self.has_given_up = true;
                self.driver.give_up(heir, settlement);
                true
            } else {
                self.driver.take_completions(cx, settlement) | self.driver.deliver(cx, settlement)
            };
            if self.driver.is_idle() {
                if let Some(done) = self.done.take() {
                    let _told = done.send(());
                }
                return Poll::Ready(());
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    pub(crate) fn holds_up(&self, driver: &Driver<L>) -> bool {
        self.has_heir && self.driver.connection().id() == driver.connection().id()
    }

    pub(crate) fn driver(&self) -> &Driver<L> {
        &self.driver
    }

    /// When it is to be looked at again.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        let deadline = (!self.has_given_up).then_some(self.deadline);
        deadline.into_iter().chain(self.driver.next_try()).min()
    }
}

#[cfg(test)]
mod tests;
