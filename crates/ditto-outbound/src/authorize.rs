//! READ or nothing: the first stage of the prepare stack.

use std::sync::Arc;

use ditto_authorization::Decision;

use crate::outcome::DropReason;
use crate::signal::{RoutedSignal, Selected};
use crate::stage::{Halt, Stage};
use crate::target::CompiledTarget;

/// What a target's subjects may read.
///
/// INVARIANT: made only by [`readable`]. Filters, header templates, addresses and mappers take nothing else, so what a target
/// may not read cannot reach them.
#[derive(Debug, Clone)]
pub(crate) struct Readable<S>(S);

impl<S> Readable<S> {
    /// The readable signal.
    pub(crate) fn get(&self) -> &S {
        &self.0
    }
}

impl Readable<Arc<RoutedSignal>> {
    /// With what the target may read of its thing beside it.
    pub(crate) fn with_extra(&self, extra: &str) -> Self {
        Self(self.0.with_extra(extra))
    }
}

/// A signal that a target may read.
#[derive(Debug, Clone)]
pub(crate) struct Authorized {
    pub(crate) signal: Readable<Arc<RoutedSignal>>,
    pub(crate) target: Arc<CompiledTarget>,
}

/// Lets a signal pass to a target one of whose subjects may read it, cut down to what its subjects may read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authorize;

impl Stage<Selected> for Authorize {
    type Output = Authorized;

    fn apply(&self, Selected { signal, target }: Selected) -> Result<Authorized, Halt> {
        match readable(&signal, &target) {
            Ok(signal) => Ok(Authorized { signal, target }),
            Err(reason) => Err(Halt::Drop(reason)),
        }
    }
}

/// What a target may read of a signal.
pub(crate) fn readable(
    signal: &Arc<RoutedSignal>,
    target: &CompiledTarget,
) -> Result<Readable<Arc<RoutedSignal>>, DropReason> {
    if target.stamps() {
        // It goes to the operator's own feed, and says there who may read it.
        return Ok(Readable(signal.clone()));
    }
    match signal.decide(target) {
        Decision::Granted => Ok(Readable(signal.clone())),
        Decision::Restricted(view) => signal.viewed(&view).map(Readable).ok_or(DropReason::Restricted),
        // The index selects by subject, and the policy decides by path, too: its subjects read other parts of the thing.
        Decision::Denied if signal.is_selected_for(target) => Err(DropReason::Restricted),
        // A second lock on the same door.
        Decision::Denied => Err(DropReason::NotReadable),
    }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
