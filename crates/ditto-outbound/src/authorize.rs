//! READ or nothing: the first stage of the prepare stack.

use std::sync::Arc;

use ditto_authorization::Decision;

use crate::outcome::DropReason;
use crate::signal::{RoutedSignal, Selected};
use crate::stage::{Halt, Stage};
use crate::target::CompiledTarget;

/// What a target's subjects may read.
///
/// INVARIANT: made only by [`Authorize`]. Header templates, addresses and mappers take nothing else, so what a target
/// may not read cannot reach them.
#[derive(Debug, Clone)]
pub(crate) struct Readable<S>(S);

impl<S> Readable<S> {
    /// The readable signal.
    pub(crate) fn get(&self) -> &S {
        &self.0
    }
}

/// A signal that a target may read.
#[derive(Debug, Clone)]
pub(crate) struct Authorized {
    pub(crate) signal: Readable<Arc<RoutedSignal>>,
    pub(crate) target: Arc<CompiledTarget>,
}

/// Lets a signal pass to a target one of whose subjects may read all of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authorize;

impl Stage<Selected> for Authorize {
    type Output = Authorized;

    fn apply(&self, Selected { signal, target }: Selected) -> Result<Authorized, Halt> {
        match signal.decide(&target) {
            Decision::Granted => Ok(Authorized { signal: Readable(signal), target }),
            Decision::Restricted(_) => Err(Halt::Drop(DropReason::Restricted)),
            // The index selects by granted subject, so this is a second lock on the same door.
            Decision::Denied => Err(Halt::Drop(DropReason::NotReadable)),
        }
    }
}
