//! A directory in memory: it knows what it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use ditto_protocol::Signal;

use crate::directory::{Answer, Directory};

/// Knows the things that it is told of; whoever asks for another waits until it is told. Clones share what they know.
#[derive(Debug, Clone, Default)]
pub struct MemoryDirectory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    things: HashMap<String, Option<Arc<str>>>,
    news: Vec<String>,
    waker: Option<Waker>,
}

impl MemoryDirectory {
    /// Tells it of a thing, as JSON text, or that there is none of that id.
    pub fn tell(&self, thing: &str, state: Option<&str>) {
        let mut known = self.state();
        known.things.insert(thing.to_owned(), state.map(Arc::from));
        known.news.push(thing.to_owned());
        if let Some(waker) = known.waker.take() {
            waker.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directory for MemoryDirectory {
    fn thing(&mut self, signal: &Signal) -> Answer<Arc<str>> {
        match self.state().things.get(&signal.entity().to_string()) {
            Some(Some(thing)) => Answer::Known(thing.clone()),
            Some(None) => Answer::Absent,
            None => Answer::Pending,
        }
    }

    fn poll_answers(&mut self, cx: &mut Context<'_>, things: &mut Vec<String>) -> Poll<()> {
        let mut state = self.state();
        if state.news.is_empty() {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        things.append(&mut state.news);
        Poll::Ready(())
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}
