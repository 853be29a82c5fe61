//! Pure steps, and the one way to put them in front of a service.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use tower::{Layer, Service};

use crate::outcome::{DeliverError, DropReason};

/// A pure step of a stack: no I/O, no waiting, no shared mutable state.
///
/// Each stage consumes one type and yields the next, so that a stack in the wrong order does not compile.
pub trait Stage<I> {
    /// What the next stage takes.
    type Output;

    /// Takes one input a step further.
    ///
    /// # Errors
    /// [`Halt`] ends the way of this input: dropped on purpose, or failed.
    fn apply(&self, input: I) -> Result<Self::Output, Halt>;
}

/// Why a stage lets nothing pass.
#[derive(Debug)]
pub enum Halt {
    /// Dropped on purpose, with the reason.
    Drop(DropReason),
    /// Failed: somebody must act, or the record is lost.
    Fail(DeliverError),
}

/// Lifts a [`Stage`] into a tower layer.
#[derive(Debug, Clone, Copy)]
pub struct StageLayer<T>(T);

impl<T> StageLayer<T> {
    /// A layer that applies `stage` before the inner service.
    pub fn new(stage: T) -> Self {
        Self(stage)
    }
}

impl<T: Clone, S> Layer<S> for StageLayer<T> {
    type Service = Staged<T, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Staged { stage: self.0.clone(), inner }
    }
}

/// A stage in front of a service.
#[derive(Debug, Clone)]
pub struct Staged<T, S> {
    stage: T,
    inner: S,
}

impl<T, S> Staged<T, S> {
    pub(crate) fn inner(&self) -> &S {
        &self.inner
    }

    /// The service behind the stage, for what does not go through `call`: completions of a leaf, and records that have
    /// been through the stage before.
    pub(crate) fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }
}

impl<I, T, S> Service<I> for Staged<T, S>
where
    T: Stage<I>,
    S: Service<T::Output, Error = DeliverError>,
    S::Response: From<DropReason>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = DeliverError;
    type Future = StagedFuture<S::Future, S::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DeliverError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, input: I) -> Self::Future {
        match self.stage.apply(input) {
            Ok(next) => StagedFuture::Inner(self.inner.call(next)),
            Err(Halt::Drop(reason)) => StagedFuture::Halted(ready(Ok(reason.into()))),
            Err(Halt::Fail(error)) => StagedFuture::Halted(ready(Err(error))),
        }
    }
}

/// What [`Staged`] answers with: the inner future, or the end at this stage. Neither is boxed.
#[derive(Debug)]
pub enum StagedFuture<F, R> {
    /// The stage let the input pass.
    Inner(F),
    /// The stage ended it.
    Halted(Ready<Result<R, DeliverError>>),
}

/// A future that has its value from the start.
///
/// Stacks of pure stages over a service that does not wait have one, so a driver takes the value without polling:
/// that such a stack never waits is checked by the compiler.
pub trait Immediate: Future {
    /// The value.
    fn into_output(self) -> Self::Output;
}

impl<T> Immediate for Ready<T> {
    fn into_output(self) -> T {
        self.into_inner()
    }
}

impl<F, R> Immediate for StagedFuture<F, R>
where
    F: Immediate + Future<Output = Result<R, DeliverError>> + Unpin,
{
    fn into_output(self) -> Self::Output {
        match self {
            Self::Inner(future) => future.into_output(),
            Self::Halted(end) => end.into_inner(),
        }
    }
}

impl<F, R> Future for StagedFuture<F, R>
where
    // What has to wait boxes its own waiting (conventions §3), so nothing here needs to stay in place.
    F: Future<Output = Result<R, DeliverError>> + Unpin,
{
    type Output = Result<R, DeliverError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Inner(future) => Pin::new(future).poll(cx),
            Self::Halted(end) => Pin::new(end).poll(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tower::{ServiceBuilder, service_fn};

    use super::*;

    #[derive(Clone)]
    struct Odd;

    impl Stage<u32> for Odd {
        type Output = u64;

        fn apply(&self, input: u32) -> Result<u64, Halt> {
            match input {
                0 => Err(Halt::Fail(DeliverError::address_unresolved("zero"))),
                n if n % 2 == 1 => Ok(u64::from(n)),
                _ => Err(Halt::Drop(DropReason::Restricted)),
            }
        }
    }

    #[derive(Debug, PartialEq)]
    enum Answer {
        Passed(u64),
        Dropped(DropReason),
    }

    impl From<DropReason> for Answer {
        fn from(reason: DropReason) -> Self {
            Self::Dropped(reason)
        }
    }

    fn call(input: u32) -> Result<Answer, String> {
        let mut stack = ServiceBuilder::new()
            .layer(StageLayer::new(Odd))
            .service(service_fn(|n: u64| ready(Ok::<_, DeliverError>(Answer::Passed(n)))));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stack.poll_ready(&mut cx).is_ready());
        stack.call(input).into_output().map_err(|e| e.to_string())
    }

    #[test]
    fn passes_drops_and_fails() {
        assert_eq!(call(3), Ok(Answer::Passed(3)));
        assert_eq!(call(4), Ok(Answer::Dropped(DropReason::Restricted)));
        assert_eq!(call(0), Err("address `zero` has a placeholder without a value".to_owned()));
    }
}
