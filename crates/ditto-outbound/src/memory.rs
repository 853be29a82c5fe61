//! A directory in memory: it knows what it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use ditto_authorization::Enforcer;
use ditto_protocol::Signal;

use crate::directory::{Answer, Directory};

/// Knows the things and policies that it is told of; whoever asks for another waits until it is told. Clones share what they
/// know.
#[derive(Debug, Clone, Default)]
pub struct MemoryDirectory(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    things: HashMap<String, Option<Arc<str>>>,
    enforcers: HashMap<String, Option<Arc<Enforcer>>>,
    trouble: Option<String>,
    news: Vec<String>,
    waker: Option<Waker>,
}

impl MemoryDirectory {
    /// Tells it of a thing, as JSON text, or that there is none of that id.
    pub fn tell(&self, thing: &str, state: Option<&str>) {
        let mut known = self.state();
        known.things.insert(thing.to_owned(), state.map(Arc::from));
        known.has_news_of(thing);
    }

    /// Tells it of the policy of a thing, or that there is none.
    pub fn tell_policy(&self, thing: &str, enforcer: Option<Arc<Enforcer>>) {
        let mut known = self.state();
        known.enforcers.insert(thing.to_owned(), enforcer);
        known.has_news_of(thing);
    }

    /// Tells it why it does not answer.
    pub fn tell_trouble(&self, why: &str) {
        self.state().trouble = Some(why.to_owned());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_news_of(&mut self, thing: &str) {
        self.news.push(thing.to_owned());
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn answer<T: Clone>(known: Option<&Option<T>>) -> Answer<T> {
        match known {
            Some(Some(known)) => Answer::Known(known.clone()),
            Some(None) => Answer::Absent,
            None => Answer::Pending,
        }
    }
}

impl Directory for MemoryDirectory {
    fn observe(&mut self, _: &Signal) {}

    fn enforcer(&mut self, signal: &Signal) -> Answer<Arc<Enforcer>> {
        State::answer(self.state().enforcers.get(&signal.entity().to_string()))
    }

    fn thing(&mut self, signal: &Signal) -> Answer<Arc<str>> {
        State::answer(self.state().things.get(&signal.entity().to_string()))
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
        self.state().trouble.clone()
    }
}
