//! Who knows the things that signals are about, and their policies.

use std::sync::Arc;
use std::task::{Context, Poll};

use ditto_authorization::Enforcer;
use ditto_protocol::Signal;

/// What knows the current state of things, and who may read them.
///
/// A lane asks within its own poll. What is not known at once is asked for elsewhere; meanwhile the lane parks the signals
/// of that thing, and asks again when [`Self::poll_answers`] names it.
pub trait Directory: Send {
    /// Looks at a signal of the feed, before anything is asked about it: what it says of its thing is news.
    fn observe(&mut self, signal: &Signal);

    /// The policy of the thing that a signal is about, compiled for the thing's namespace; for an event that says that the
    /// thing is deleted, the last one known.
    fn enforcer(&mut self, signal: &Signal) -> Answer<Arc<Enforcer>>;

    /// The thing that a signal is about, as JSON text, at the revision of the signal or a later one; for an event that says
    /// that the thing is deleted, the last one known, as in the reference: the deletion is for those with extra fields as well.
    fn thing(&mut self, signal: &Signal) -> Answer<Arc<str>>;

    /// Appends the ids of things that are worth asking for again; `Ready` if there were any, else the waker is stored.
    fn poll_answers(&mut self, cx: &mut Context<'_>, things: &mut Vec<String>) -> Poll<()>;

    /// Why answers take long, if something is wrong.
    fn trouble(&self) -> Option<String>;
}

/// What a [`Directory`] says of a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// It is known.
    Known(T),
    /// There is nothing of the kind, or nothing that the directory may see: that is final.
    Absent,
    /// Not known yet.
    Pending,
}
