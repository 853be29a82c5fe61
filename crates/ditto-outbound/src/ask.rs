//! What has to be asked before a signal can be selected for and dispatched.

use std::sync::Arc;

use crate::directory::{Answer, Directory};
use crate::router::{Router, Selection};
use crate::signal::{Audience, RoutedSignal, ThingState, Unreadable};
use crate::{authorize, filter};

/// Selects targets, if the directory knows who may read the signal and what they need of its thing; the signal is told. Whether
/// it knows.
pub(crate) fn select(
    router: &Router,
    directory: &mut dyn Directory,
    signal: &Arc<RoutedSignal>,
    selected: &mut Selection,
) -> bool {
    // Nobody is asked about what nobody wants.
    if signal.audience().is_none() && router.wants(signal) {
        let Some(audience) = audience(directory, signal) else { return false };
        signal.tell_of_audience(audience);
    }
    router.select(signal, selected);
    let mut enriched =
        selected.targets.iter().filter_map(|at| router.target(*at)).filter(|it| it.topics().have_extra());
    let needs_thing = enriched.any(|target| {
        authorize::readable(signal, target).is_ok_and(|readable| filter::needs_thing(&readable, target))
    });
    if needs_thing {
        signal.tell_of_thing(match directory.thing(signal.signal()) {
            Answer::Known(thing) => ThingState::Known(thing),
            Answer::Absent => ThingState::Absent,
            Answer::Pending => return false,
        });
    }
    true
}

/// Who may read a signal by the policy of its thing, if the directory knows it.
pub(crate) fn audience(directory: &mut dyn Directory, signal: &RoutedSignal) -> Option<Audience> {
    match directory.enforcer(signal.signal()) {
        Answer::Known(enforcer) => {
            let grants = enforcer.grants(signal.signal());
            Some(Audience::Policy(enforcer, grants))
        }
        Answer::Absent => Some(Audience::Nobody(Unreadable::PolicyAbsent)),
        Answer::Pending => None,
    }
}
