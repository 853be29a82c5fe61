//! Filters and enrichment: the second stage of the prepare stack (outbound.md §3).

use std::sync::Arc;
use std::time::SystemTime;

use crate::authorize::{Authorized, Readable};
use crate::fields::SignalFields;
use crate::outcome::{DeliverError, DropReason};
use crate::resolve::Values;
use crate::signal::{RoutedSignal, ThingState};
use crate::stage::{Halt, Stage};
use crate::target::CompiledTarget;
use crate::topics::Candidates;

/// Lets a signal pass that a topic of the target is for, with the extra fields of that topic.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter;

impl Stage<Authorized> for Filter {
    type Output = Authorized;

    fn apply(&self, Authorized { signal, target }: Authorized) -> Result<Authorized, Halt> {
        if target.topics().are_plain() {
            return Ok(Authorized { signal, target });
        }
        match choose(&signal, &target)? {
            Some(extra) => Ok(Authorized { signal: signal.with_extra(&extra), target }),
            None => Ok(Authorized { signal, target }),
        }
    }
}

/// The extra fields that go with the signal.
fn choose(signal: &Readable<Arc<RoutedSignal>>, target: &CompiledTarget) -> Result<Option<String>, Halt> {
    let (routed, now) = (signal.get(), SystemTime::now());
    let shown = routed.shown_thing(target);
    let fields = SignalFields::of_shown(routed.signal(), target.asked(), &shown);
    let candidates = candidates(routed, target, &fields, now).ok_or(Halt::Drop(DropReason::Filtered))?;
    if !candidates.need_thing() {
        return Ok(None);
    }
    match routed.retrieved_thing(target) {
        ThingState::Known(thing) => {
            candidates.choose(&fields, &thing, now).ok_or(Halt::Drop(DropReason::Filtered))
        }
        ThingState::Absent => Err(Halt::Fail(DeliverError::thing_absent())),
        ThingState::Unknown(why) => Err(Halt::Fail(DeliverError::thing_unknown(&why))),
    }
}

/// Whether the thing has to be known before the target's filters can be decided.
pub(crate) fn needs_thing(signal: &Readable<Arc<RoutedSignal>>, target: &CompiledTarget) -> bool {
    let routed = signal.get();
    let shown = routed.shown_thing(target);
    let fields = SignalFields::of_shown(routed.signal(), target.asked(), &shown);
    let candidates = candidates(routed, target, &fields, SystemTime::now());
    candidates.is_some_and(|candidates| candidates.need_thing())
}

fn candidates<'t>(
    signal: &RoutedSignal,
    target: &'t CompiledTarget,
    fields: &SignalFields<'_>,
    now: SystemTime,
) -> Option<Candidates<'t>> {
    target.topics().candidates(signal.signal(), fields, &Values { signal, target }, now)
}
