//! Who waits for an answer, and how they are told.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

/// A lane that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in super::super) struct LaneId(usize);

/// Those that wait for one answer, each once, with the order in which they came.
pub(super) type Waiters = HashMap<(LaneId, Arc<str>), u64>;

/// The lanes, and the things that each waits for.
#[derive(Debug, Default)]
pub(in super::super) struct WaitingLanes {
    lanes: Slab<WaitingLane>,
    came: u64,
}

#[derive(Debug, Default)]
struct WaitingLane {
    waiting: HashSet<Arc<str>>,
    /// Things that it is worth asking again for.
    news: Vec<String>,
    waker: Option<Waker>,
}

impl WaitingLanes {
    pub(in super::super) fn enter(&mut self) -> LaneId {
        LaneId(self.lanes.insert(WaitingLane::default()))
    }

    pub(in super::super) fn leave(&mut self, lane: LaneId) {
        self.lanes.try_remove(lane.0);
    }

    /// Things that lanes wait for.
    pub(super) fn waiting(&self) -> usize {
        self.lanes.iter().map(|(_, lane)| lane.waiting.len()).sum()
    }

    pub(super) fn wait(&mut self, waiters: &mut Waiters, lane: LaneId, thing: &str) {
        let Some(waiting) = self.lanes.get_mut(lane.0).map(|lane| &mut lane.waiting) else { return };
        let thing = match waiting.get(thing) {
            Some(known) => known.clone(),
            None => {
                let thing: Arc<str> = thing.into();
                waiting.insert(thing.clone());
                thing
            }
        };
        self.came += 1;
        waiters.entry((lane, thing)).or_insert(self.came);
    }

    /// Tells all of them, in the order in which they came.
    pub(super) fn wake(&mut self, waiters: &mut Waiters) {
        let mut in_order: Vec<_> = waiters.drain().collect();
        in_order.sort_unstable_by_key(|(_, came)| *came);
        for ((lane, thing), _) in in_order {
            // One that waits for several answers is told with the first one, and asks again.
            if let Some(lane) = self.lanes.get_mut(lane.0)
                && lane.waiting.remove(&thing)
            {
                lane.news.push(thing.to_string());
                if let Some(waker) = lane.waker.take() {
                    waker.wake();
                }
            }
        }
    }

    /// Appends the things that it is worth asking again for, else stores the waker.
    pub(in super::super) fn poll(
        &mut self,
        lane: LaneId,
        cx: &mut Context<'_>,
        things: &mut Vec<String>,
    ) -> Poll<()> {
        let Some(lane) = self.lanes.get_mut(lane.0) else { return Poll::Pending };
        if lane.news.is_empty() {
            if !lane.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                lane.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        things.append(&mut lane.news);
        Poll::Ready(())
    }
}
