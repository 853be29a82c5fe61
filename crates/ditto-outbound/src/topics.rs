//! The topics of a target: which of them is for a signal, and what comes with it (topics.md §4, outbound.md §3).

use std::cell::LazyCell;
use std::time::SystemTime;

use ditto_connection::TopicSubscription;
use ditto_json::JsonPointer;
use ditto_placeholder::Resolve;
use ditto_protocol::{Signal, TargetTopic};
use ditto_rql::Pending;
use smallvec::SmallVec;

use crate::extra::{resolve_fields, select_fields};
use crate::fields::SignalFields;

/// The topics of a target in the order in which the reference tries them.
#[derive(Debug)]
pub(crate) struct Topics {
    topics: Vec<CompiledTopic>,
    /// Whether any has a filter or extra fields: without, there is nothing to decide after the index.
    are_plain: bool,
    /// Whether any has extra fields: without, nothing of the thing is needed.
    have_extra: bool,
}

#[derive(Debug)]
pub(crate) struct CompiledTopic {
    pub(crate) subscription: TopicSubscription,
    /// What enrichment may bring.
    pub(crate) pending: Pending,
}

/// The topics that may be for a signal; at least one.
pub(crate) struct Candidates<'t>(SmallVec<[Candidate<'t>; 1]>);

struct Candidate<'t> {
    topic: &'t CompiledTopic,
    /// What of the thing comes with the signal.
    places: Vec<JsonPointer>,
}

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
        let have_extra = topics.iter().any(CompiledTopic::has_extra);
        Self { topics, are_plain, have_extra }
    }

    pub(crate) fn are_plain(&self) -> bool {
        self.are_plain
    }

    pub(crate) fn have_extra(&self) -> bool {
        self.have_extra
    }

    /// In the order in which they are tried.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &CompiledTopic> {
        self.topics.iter()
    }

    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = &TopicSubscription> {
        self.topics.iter().map(|topic| &topic.subscription)
    }

    /// Those of the signal's kind and namespace whose filter may hold, whatever enrichment brings; `None` if there are none.
    pub(crate) fn candidates(
        &self,
        signal: &Signal,
        fields: &SignalFields<'_>,
        values: &impl Resolve,
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
        let candidate =
            |topic| Candidate { topic, places: resolve_fields(topic.subscription.extra_fields(), values) };
        let candidates: SmallVec<_> = self.topics.iter().filter(may_be).map(candidate).collect();
        (!candidates.is_empty()).then_some(Candidates(candidates))
    }
}

impl CompiledTopic {
    fn has_extra(&self) -> bool {
        !self.subscription.extra_fields().is_empty()
    }

    pub(crate) fn is_for(&self, namespace: Option<&str>) -> bool {
        let namespaces = self.subscription.namespaces();
        self.subscription.topic() == TargetTopic::ConnectionAnnouncements
            || namespaces.is_empty()
            || namespace.is_some_and(|namespace| namespaces.iter().any(|own| own == namespace))
    }
}

impl Candidates<'_> {
    /// Whether the thing has to be known, since something of it comes with the signal.
    pub(crate) fn need_thing(&self) -> bool {
        self.0.iter().any(|candidate| !candidate.places.is_empty())
    }

    /// What comes with the signal by the first topic whose filter holds once the thing is known: nothing, or fields of the
    /// thing as JSON text, maybe none that it has. `None` if no filter holds. `thing` is JSON text.
    pub(crate) fn choose(
        &self,
        fields: &SignalFields<'_>,
        thing: &str,
        now: SystemTime,
    ) -> Option<Option<String>> {
        // Filters look at the fields of all topics, and many topics have none to look.
        let known = LazyCell::new(|| {
            let all = select_fields(thing, self.0.iter().flat_map(|candidate| &candidate.places));
            fields.enriched(&serde_json::from_str(&all).unwrap_or_default())
        });
        let holds = |candidate: &&Candidate<'_>| {
            candidate.topic.subscription.filter().is_none_or(|filter| filter.matches(&*known, now))
        };
        let chosen = self.0.iter().find(holds)?;
        Some(chosen.topic.has_extra().then(|| select_fields(thing, &chosen.places)))
    }
}
