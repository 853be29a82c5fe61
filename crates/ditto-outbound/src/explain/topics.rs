//! Whether a signal is for a target: its kind, its namespace, its filters.

use std::time::SystemTime;

use ditto_connection::nearest;
use ditto_json::JsonPointer;
use ditto_protocol::{KnownHeader, TargetTopic};
use ditto_rql::{Explanation, Fields, Filter, Pending, Presence, Truth};
use std::sync::Arc;

use super::Decision;
use crate::authorize::Readable;
use crate::extra::{resolve_fields, select_fields};
use crate::fields::SignalFields;
use crate::resolve::Values;
use crate::signal::{RoutedSignal, ThingState};
use crate::target::{CompiledConnection, CompiledTarget};
use crate::topics::CompiledTopic;

pub(super) fn origin(signal: &RoutedSignal, connection: &CompiledConnection) -> Decision {
    const ORIGIN: KnownHeader = KnownHeader::named("ditto-origin");
    const STEP: &str = "origin";
    if connection.admits(signal) {
        return Decision::new(STEP, true, "it does not come from this connection");
    }
    match signal.signal().headers().known(ORIGIN) {
        Some(origin) if origin.text() == connection.id() => {
            Decision::new(STEP, false, "it comes from this connection itself (header `ditto-origin`)").remedy(
                "nothing: what a connection has sent does not come back to it; another connection gets it",
            )
        }
        _ => Decision::new(STEP, false, "it is an announcement about another connection")
            .remedy("nothing: each connection gets its own announcements"),
    }
}

pub(super) fn kind(signal: &RoutedSignal, target: &CompiledTarget) -> Decision {
    const STEP: &str = "kind";
    let mut topics: Vec<_> = target.topics().subscriptions().map(|topic| topic.topic().as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    let Some(kind) = signal.signal().target_topic() else {
        return Decision::new(
            STEP,
            false,
            "responses, errors and acknowledgements go to who has asked, to no target",
        )
        .remedy("nothing: no target can subscribe to it");
    };
    let decision = if topics.contains(&kind.as_str()) {
        Decision::new(STEP, true, kind.as_str())
    } else {
        Decision::new(
            STEP,
            false,
            format!("it is of kind {kind}, and the target is for {}", topics.join(", ")),
        )
        .remedy(format!("add `{kind}` to the target's topics"))
    };
    decision.detail("kind", kind.as_str()).detail("subscribed", topics)
}

pub(super) fn namespace(signal: &RoutedSignal, target: &CompiledTarget) -> Decision {
    const STEP: &str = "namespace";
    let namespace = signal.signal().entity().namespace();
    let shown = namespace.unwrap_or("none");
    let of_kind = of_kind(signal, target);
    if of_kind.iter().any(|topic| topic.is_for(namespace)) {
        return Decision::new(STEP, true, shown).detail("namespace", namespace);
    }
    let subscribed: Vec<&str> =
        of_kind.iter().flat_map(|topic| topic.subscription.namespaces()).map(String::as_str).collect();
    let remedy = match nearest(shown, subscribed.iter().copied()) {
        Some(meant) => format!("did you mean `{shown}` instead of `{meant}` in the topic's namespaces?"),
        None => {
            format!("add `{shown}` to the topic's namespaces; names are compared whole, without wildcards")
        }
    };
    let says = format!("its namespace is `{shown}`, and the target is for {}", subscribed.join(", "));
    Decision::new(STEP, false, says)
        .remedy(remedy)
        .detail("namespace", namespace)
        .detail("subscribed", subscribed)
}

fn of_kind<'t>(signal: &RoutedSignal, target: &'t CompiledTarget) -> Vec<&'t CompiledTopic> {
    let kind: Option<TargetTopic> = signal.signal().target_topic();
    target.topics().iter().filter(|topic| Some(topic.subscription.topic()) == kind).collect()
}

/// What each topic of the kind and namespace makes of what the target sees of the signal.
pub(super) fn filters(
    whole: &RoutedSignal,
    readable: &Readable<Arc<RoutedSignal>>,
    target: &CompiledTarget,
) -> Vec<Decision> {
    if target.topics().are_plain() {
        return Vec::new();
    }
    let signal = readable.get();
    let namespace = signal.signal().entity().namespace();
    let topics: Vec<_> =
        of_kind(signal, target).into_iter().filter(|topic| topic.is_for(namespace)).collect();
    let (shown, of_whole) = (signal.shown_thing(target), whole.shown_thing(target));
    let before = SignalFields::of_shown(signal.signal(), target.asked(), &shown);
    let whole = SignalFields::of_shown(whole.signal(), target.asked(), &of_whole);
    let looked = Looked::new(signal, target, whole, before, &topics);
    let mut decisions: Vec<_> = topics.iter().map(|topic| looked.decide(topic)).collect();
    // One is enough; the first one that holds decides what comes along.
    if let Some(first) = decisions.iter().position(|decision| decision.passes) {
        decisions.truncate(first + 1);
        decisions.iter_mut().for_each(|decision| decision.passes = true);
    }
    decisions
}

/// What filters look at.
struct Looked<'s> {
    /// The signal before it was cut to what the target may read: filters never see it.
    whole: SignalFields<'s>,
    signal: &'s RoutedSignal,
    target: &'s CompiledTarget,
    before: SignalFields<'s>,
    /// With the extra fields of all topics, if the thing is known.
    after: Option<SignalFields<'s>>,
    thing: ThingState,
    now: SystemTime,
}

impl<'s> Looked<'s> {
    fn new(
        signal: &'s RoutedSignal,
        target: &'s CompiledTarget,
        whole: SignalFields<'s>,
        before: SignalFields<'s>,
        topics: &[&CompiledTopic],
    ) -> Self {
        let thing = signal.retrieved_thing(target);
        let now = SystemTime::now();
        let mut looked = Self { whole, signal, target, before, after: None, thing, now };
        let places: Vec<_> = topics.iter().flat_map(|topic| looked.places(topic)).collect();
        looked.after = match &looked.thing {
            _ if places.is_empty() => Some(looked.before.clone()),
            ThingState::Known(thing) => {
                let extra = select_fields(thing, &places);
                Some(looked.before.enriched(&serde_json::from_str(&extra).unwrap_or_default()))
            }
            ThingState::Absent | ThingState::Unknown(_) => None,
        };
        looked
    }

    fn places(&self, topic: &CompiledTopic) -> Vec<JsonPointer> {
        let values = Values { signal: self.signal, target: self.target };
        resolve_fields(topic.subscription.extra_fields(), &values)
    }

    fn decide(&self, topic: &CompiledTopic) -> Decision {
        let places = self.places(topic);
        let text = topic.subscription.to_string();
        let truths = topic.subscription.filter().map(|filter| {
            let before = filter.explain(&self.before, &topic.pending, self.now);
            let after = self.after.as_ref().filter(|_| before.truth.is_possible());
            let after = after.map(|after| filter.explain(after, &Pending::nothing(), self.now));
            (filter, before, after)
        });
        let last =
            truths.as_ref().map_or(Truth::True, |(_, before, after)| after.as_ref().unwrap_or(before).truth);
        let needs_thing = !places.is_empty() && last != Truth::False;
        let mut decision = match (&self.thing, last) {
            (ThingState::Absent, _) if needs_thing => Decision::new(
                "topic",
                false,
                "its extra fields are of a thing that is gone, or may not be read",
            )
            .remedy("let the directory read the thing, or leave `extraFields` out"),
            (ThingState::Unknown(why), _) if needs_thing => {
                Decision::new("topic", false, format!("its extra fields are not known: {why}"))
                    .remedy("name the thing, let the directory know it, or leave `extraFields` out")
            }
            (_, Truth::True) => Decision::new("topic", true, "it is for this topic"),
            _ => {
                let filter = truths.as_ref().map(|(filter, ..)| *filter);
                self.absent(filter, &places, &text)
            }
        };
        decision = decision.below(&text).detail("topic", text.as_str());
        if let Some((_, before, after)) = &truths {
            decision = decision.below(&indented(before)).detail("before", before.to_json());
            if let Some(after) = after.as_ref().filter(|_| !places.is_empty()) {
                decision = decision
                    .below("with extra fields:")
                    .below(&indented(after))
                    .detail("after", after.to_json());
            }
        }
        if !places.is_empty() {
            let extra = match &self.thing {
                ThingState::Known(thing) => Some(select_fields(thing, &places)),
                ThingState::Absent | ThingState::Unknown(_) => None,
            };
            if let Some(extra) = &extra {
                decision = decision.below(&format!("extra: {extra}"));
            }
            let places: Vec<_> = places.iter().map(ToString::to_string).collect();
            decision = decision.detail("extraFields", places).detail("extra", extra);
        }
        decision
    }

    /// The filter does not hold: maybe since something that it asks for is not there.
    fn absent(&self, filter: Option<&Filter>, places: &[JsonPointer], text: &str) -> Decision {
        let fields = self.after.as_ref().unwrap_or(&self.before);
        let is_absent = |pointer: &&JsonPointer| fields.presence(pointer) == Presence::Absent;
        let absent: Vec<&JsonPointer> =
            filter.into_iter().flat_map(Filter::pointers).filter(is_absent).collect();
        let is_covered = |pointer: &&JsonPointer| {
            places.iter().any(|place| pointer.segments().starts_with(place.segments()))
        };
        let says = "its filter does not hold";
        let hidden = absent.iter().find(|pointer| self.whole.presence(pointer) != Presence::Absent);
        if let Some(hidden) = hidden.map(|pointer| shown(pointer)) {
            let says = format!(
                "{says}: the target's subjects may not read `{hidden}`, and so its filters do not see it"
            );
            let remedy = format!(
                "grant READ on thing:/{hidden} to a subject of the target, or leave it out of the filter"
            );
            return Decision::new("topic", false, says).remedy(remedy);
        }
        if let Some(missing) = absent.iter().find(|pointer| !is_covered(pointer)) {
            let missing = shown(missing);
            let why = match places {
                [] => format!("{says}: the signal has no `{missing}`, and the topic has no extra fields"),
                _ => format!("{says}: neither the signal nor the extra fields have `{missing}`"),
            };
            let joint = if text.contains('?') { '&' } else { '?' };
            let remedy = match places {
                [] => {
                    format!("if it is a field of the thing, add `{joint}extraFields={missing}` to the topic")
                }
                _ => format!("if it is a field of the thing, add `{missing}` to the topic's extraFields"),
            };
            return Decision::new("topic", false, why).remedy(remedy);
        }
        match absent.first() {
            Some(missing) => {
                let says = format!("{says}: the thing has no `{}` that the target may read", shown(missing));
                Decision::new("topic", false, says)
                    .remedy("compare the filter with the thing, or grant READ there")
            }
            None => Decision::new("topic", false, says).remedy(
                "compare the filter with the values below; `ditto-connectivity eval rql` tries others",
            ),
        }
    }
}

/// As it is written in filters and field selectors.
fn shown(pointer: &JsonPointer) -> String {
    pointer.to_string().trim_start_matches('/').to_owned()
}

fn indented(explanation: &Explanation) -> String {
    explanation.to_string().lines().map(|line| format!("  {line}\n")).collect()
}
