//! The topics of a target: which of them is for a signal, and what comes with it (topics.md §4, outbound.md §3).

use std::time::SystemTime;

use ditto_connection::{ExtraField, TopicSubscription};
use ditto_json::{JsonPointer, RawObject, write_string};
use ditto_placeholder::Resolve;
use ditto_protocol::{Signal, TargetTopic};
use ditto_rql::Pending;
use smallvec::SmallVec;

use crate::fields::SignalFields;

/// The topics of a target in the order in which the reference tries them.
#[derive(Debug)]
pub(crate) struct Topics {
    topics: Vec<CompiledTopic>,
    /// Whether any has a filter or extra fields: without, there is nothing to decide after the index.
    are_plain: bool,
}

#[derive(Debug)]
struct CompiledTopic {
    subscription: TopicSubscription,
    /// What enrichment may bring.
    pending: Pending,
}

/// The topics that may be for a signal; at least one.
pub(crate) struct Candidates<'t>(SmallVec<[&'t CompiledTopic; 2]>);

impl Topics {
    pub(crate) fn new(subscriptions: &[TopicSubscription]) -> Self {
        let mut topics: Vec<CompiledTopic> = subscriptions
            .iter()
            .map(|subscription| {
                let selector = subscription.filtered().extra_fields();
                let pending = selector.map(|selector| Pending::of(selector.pointers())).unwrap_or_default();
                CompiledTopic { subscription: subscription.clone(), pending }
            })
            .collect();
        topics.sort_by_cached_key(|topic| {
            let selector = topic.subscription.filtered().extra_fields().map(ToString::to_string);
            (selector.is_none(), selector, topic.subscription.to_string())
        });
        let is_plain = |topic: &CompiledTopic| topic.subscription.filter().is_none() && !topic.has_extra();
        let are_plain = topics.iter().all(is_plain);
        Self { topics, are_plain }
    }

    pub(crate) fn are_plain(&self) -> bool {
        self.are_plain
    }

    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = &TopicSubscription> {
        self.topics.iter().map(|topic| &topic.subscription)
    }

    /// Those of the signal's kind and namespace whose filter may hold, whatever enrichment brings; `None` if there are none.
    pub(crate) fn candidates(
        &self,
        signal: &Signal,
        fields: &SignalFields<'_>,
        now: SystemTime,
    ) -> Option<Candidates<'_>> {
        let kind = signal.target_topic()?;
        let namespace = signal.entity().namespace();
        let may_be = |topic: &&CompiledTopic| {
            topic.subscription.topic() == kind
                && topic.is_for(namespace)
                && topic
                    .subscription
                    .filter()
                    .is_none_or(|filter| filter.could_match(fields, &topic.pending, now).is_possible())
        };
        let candidates: SmallVec<_> = self.topics.iter().filter(may_be).collect();
        (!candidates.is_empty()).then_some(Candidates(candidates))
    }
}

impl CompiledTopic {
    fn has_extra(&self) -> bool {
        !self.subscription.extra_fields().is_empty()
    }

    fn is_for(&self, namespace: Option<&str>) -> bool {
        let namespaces = self.subscription.namespaces();
        self.subscription.topic() == TargetTopic::ConnectionAnnouncements
            || namespaces.is_empty()
            || namespace.is_some_and(|namespace| namespaces.iter().any(|own| own == namespace))
    }

    /// The places that come with a signal; those without a value for their placeholders do not.
    fn pointers(&self, values: &impl Resolve) -> Vec<JsonPointer> {
        let mut pointers = Vec::new();
        for field in self.subscription.extra_fields() {
            match field {
                ExtraField::Pointer(pointer) => pointers.push(pointer.clone()),
                ExtraField::Template(template) => {
                    let resolved = template.resolve_all(values).ok();
                    let texts = resolved.iter().flat_map(|value| value.texts());
                    pointers.extend(texts.filter_map(|text| text.parse::<JsonPointer>().ok()));
                }
            }
        }
        pointers
    }
}

impl Candidates<'_> {
    /// Whether the thing has to be known, since something of it comes with the signal.
    pub(crate) fn need_thing(&self, values: &impl Resolve) -> bool {
        self.0.iter().any(|topic| !topic.pointers(values).is_empty())
    }

    /// What comes with the signal by the first topic whose filter holds once the thing is known: nothing, or fields of the
    /// thing as JSON text, maybe none that it has. `None` if no filter holds. `thing` is JSON text.
    pub(crate) fn choose(
        &self,
        fields: &SignalFields<'_>,
        thing: &str,
        values: &impl Resolve,
        now: SystemTime,
    ) -> Option<Option<String>> {
        let selected: SmallVec<[Vec<JsonPointer>; 2]> =
            self.0.iter().map(|topic| topic.pointers(values)).collect();
        let all = select(thing, selected.iter().flatten());
        let known = fields.enriched(&serde_json::from_str(&all).unwrap_or_default());
        let holds = |topic: &CompiledTopic| {
            topic.subscription.filter().is_none_or(|filter| filter.matches(&known, now))
        };
        let (topic, pointers) = self.0.iter().zip(&selected).find(|(topic, _)| holds(topic))?;
        Some(topic.has_extra().then(|| select(thing, pointers)))
    }
}

/// Those of the places that the thing has, as they are written there. `features/*` stands for each of its features.
fn select<'p>(thing: &str, pointers: impl IntoIterator<Item = &'p JsonPointer>) -> String {
    let places: Vec<&[String]> = pointers.into_iter().map(JsonPointer::segments).collect();
    cut(thing, &places, At::Thing).unwrap_or_else(|| "{}".to_owned())
}

/// Where a value stands in its thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Thing,
    Features,
    Elsewhere,
}

/// What `places`, which lie below `value`, have of it. It goes as deep as the places, at most.
fn cut(value: &str, places: &[&[String]], at: At) -> Option<String> {
    if places.iter().any(|place| place.is_empty()) {
        return Some(value.to_owned());
    }
    let mut selected = String::new();
    for (name, member) in RawObject::new(value) {
        let below: SmallVec<[&[String]; 4]> = places
            .iter()
            .filter_map(|place| place.split_first())
            .filter(|(first, _)| **first == *name || at == At::Features && *first == "*")
            .map(|(_, rest)| rest)
            .collect();
        if let Some(member) =
            Some(below).filter(|below| !below.is_empty()).and_then(|it| cut(member, &it, at.below(&name)))
        {
            selected.push(if selected.is_empty() { '{' } else { ',' });
            let mut quoted = Vec::new();
            write_string(&mut quoted, &name);
            selected.push_str(&String::from_utf8_lossy(&quoted));
            selected.push(':');
            selected.push_str(&member);
        }
    }
    (!selected.is_empty()).then(|| selected + "}")
}

impl At {
    fn below(self, name: &str) -> Self {
        if self == Self::Thing && name == "features" { Self::Features } else { Self::Elsewhere }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(thing: &str, pointers: &[&str], expected: &str) {
        let pointers: Vec<JsonPointer> = pointers.iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(select(thing, &pointers), expected);
    }

    #[test]
    fn fields_are_kept_as_they_are_written() {
        let thing = r#"{"attributes":{"a\u0062":1.50,"c":{}},"features":{"m":{"properties":{"on":true,"off":1}},
            "n":{"definition":["x:y:1"]},"o":{"properties":{"on": null}}}}"#;
        check(thing, &["attributes/ab", "attributes/x/y", "policyId"], r#"{"attributes":{"ab":1.50}}"#);
        check(thing, &["attributes", "attributes/c/d"], r#"{"attributes":{"a\u0062":1.50,"c":{}}}"#);
        check(thing, &["attributes/c/d", "attributes/ab/d"], "{}");
        check(
            thing,
            &["features/*/properties/on"],
            r#"{"features":{"m":{"properties":{"on":true}},"o":{"properties":{"on":null}}}}"#,
        );
        check(thing, &["attributes/*"], "{}");
        check("null", &["attributes"], "{}");
    }
}
