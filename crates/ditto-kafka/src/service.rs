//! Publishing as a tower service, for users who want one answer per record.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tower::Service;

use crate::code::ErrorCode;
use crate::error::PublishError;
use crate::lock::lock;
use crate::publisher::Publisher;
use crate::record::{Completion, Delivered, OwnedRecord, Record, Token};
use crate::settings::MAX_RECORD_BYTES;

/// A [`Publisher`] as a service: one record in, one future out. It costs a one-shot channel per record
/// and a task per service; the pipeline uses the publisher itself.
///
/// The record is in librdkafka's queue when `call` returns, so the order of the calls is the order per
/// partition. Dropping the future does not take the record back and says nothing about its end: put no
/// time-out above this service, `Delivery` has the one deadline.
pub struct PublishService {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    publisher: Publisher,
    answers: HashMap<u64, Answer>,
    next: u64,
    /// Hands the completions out; ends with this.
    task: Option<AbortHandle>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

type Answer = oneshot::Sender<Result<Delivered, PublishError>>;

impl PublishService {
    /// Must be called within a tokio runtime: a task hands the completions out, until the service is
    /// dropped and nothing is in flight any more.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(publisher: Publisher) -> Self {
        let inner = Inner { publisher, answers: HashMap::new(), next: 0, task: None };
        let inner = Arc::new(Mutex::new(inner));
        let task = tokio::spawn(answer(Arc::downgrade(&inner)));
        lock(&inner).task = Some(task.abort_handle());
        Self { inner }
    }
}

/// Goes on until nobody can be waiting for an answer: the service is gone and so are all its futures,
/// which keep `Inner` alive.
async fn answer(inner: Weak<Mutex<Inner>>) {
    let mut completions = Vec::new();
    loop {
        let more = poll_fn(|cx| {
            let Some(inner) = inner.upgrade() else {
                return Poll::Ready(false);
            };
            let mut inner = lock(&inner);
            inner.publisher.poll_completions(cx, &mut completions).map(|_| true)
        });
        if !more.await {
            return;
        }
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let mut inner = lock(&inner);
        for Completion { token, result, .. } in completions.drain(..) {
            if let Some(answer) = inner.answers.remove(&token.0) {
                // Nobody waits any more: allowed.
                let _dropped = answer.send(result);
            }
        }
    }
}

impl Service<OwnedRecord> for PublishService {
    type Response = Delivered;
    type Error = PublishError;
    type Future = PublishFuture;

    /// The size is not known yet: waits until the largest record would fit.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PublishError>> {
        lock(&self.inner).publisher.poll_ready(cx, MAX_RECORD_BYTES).map(Ok)
    }

    fn call(&mut self, record: OwnedRecord) -> PublishFuture {
        let mut inner = lock(&self.inner);
        let token = inner.next;
        inner.next = token.wrapping_add(1);
        let borrowed = Record {
            topic: &record.topic,
            partition: record.partition,
            key: record.key.as_deref(),
            payload: record.payload.as_deref(),
            headers: record.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref())),
        };
        let state = match inner.publisher.enqueue(borrowed, Token(token)) {
            Ok(()) => {
                let (answer, waiting) = oneshot::channel();
                inner.answers.insert(token, answer);
                State::Enqueued { waiting, _inner: Arc::clone(&self.inner) }
            }
            Err(error) => State::Refused(Some(error)),
        };
        PublishFuture { state }
    }
}

impl fmt::Debug for PublishService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishService").finish_non_exhaustive()
    }
}

/// The end of one record, see [`PublishService`].
#[must_use = "futures do nothing unless polled; the record is enqueued all the same"]
pub struct PublishFuture {
    state: State,
}

enum State {
    Enqueued {
        waiting: oneshot::Receiver<Result<Delivered, PublishError>>,
        /// Keeps the task that answers going when the service is dropped first.
        _inner: Arc<Mutex<Inner>>,
    },
    Refused(Option<PublishError>),
}

impl Future for PublishFuture {
    type Output = Result<Delivered, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.state {
            State::Enqueued { waiting, .. } => Pin::new(waiting).poll(cx).map(|answer| {
                answer.unwrap_or_else(|_| {
                    Err(PublishError::with_reason(ErrorCode::PURGE_INFLIGHT, "the runtime is shutting down"))
                })
            }),
            State::Refused(error) => {
                Poll::Ready(Err(error.take().unwrap_or_else(|| PublishError::new(ErrorCode::INVALID_ARG))))
            }
        }
    }
}

impl fmt::Debug for PublishFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishFuture").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
