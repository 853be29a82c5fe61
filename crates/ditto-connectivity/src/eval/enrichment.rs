//! What a signal is enriched with before its filter decides (topics.md §4).

use ditto_connection::ExtraField;
use ditto_json::JsonPointer;
use ditto_outbound::SignalValues;
use ditto_protocol::Signal;
use ditto_rql::Pending;
use serde_json::{Map, Value};

/// Where the enrichment of signals comes from, and which places of the thing it has.
#[derive(Debug, Default)]
pub(super) struct Enrichment {
    /// All of the thing, if nobody says which.
    pub(super) fields: Option<Vec<ExtraField>>,
    /// Instead of the signals' own `extra`.
    pub(super) thing: Option<Value>,
}

impl Enrichment {
    /// What may still come for a signal.
    pub(super) fn pending(&self, signal: &Signal) -> Pending {
        match self.places(signal) {
            Some(places) => Pending::of(&places),
            None if self.thing.is_some() || signal.extra().is_some() => Pending::of([&JsonPointer::root()]),
            None => Pending::nothing(),
        }
    }

    /// What comes, if anything is asked for and it is known.
    pub(super) fn extra(&self, signal: &Signal) -> Option<Value> {
        let own = || signal.extra().and_then(|extra| serde_json::from_str(extra).ok());
        let thing = self.thing.clone().or_else(own)?;
        let Some(places) = self.places(signal) else { return Some(thing) };
        let mut extra = Value::Object(Map::new());
        for place in places.iter().flat_map(|place| features_of(place, &thing)) {
            if let Some(found) = place.get(&thing) {
                place.set(&mut extra, found.clone());
            }
        }
        Some(extra).filter(|_| !places.is_empty())
    }

    /// The places for a signal; those whose placeholders have no value are left out.
    fn places(&self, signal: &Signal) -> Option<Vec<JsonPointer>> {
        let values = SignalValues::new(signal, None);
        let resolved = |field: &ExtraField| match field {
            ExtraField::Pointer(pointer) => vec![pointer.clone()],
            ExtraField::Template(template) => {
                let value = template.resolve_all(&values);
                let texts = value.iter().flat_map(|value| value.texts());
                texts.filter_map(|text| text.parse().ok()).collect()
            }
        };
        self.fields.as_ref().map(|fields| fields.iter().flat_map(resolved).collect())
    }
}

/// The place, or that of each feature for `features/*`.
fn features_of(place: &JsonPointer, thing: &Value) -> Vec<JsonPointer> {
    match place.segments() {
        [features, any, below @ ..] if features == "features" && any == "*" => {
            let ids = thing.get("features").and_then(Value::as_object).into_iter().flat_map(Map::keys);
            let of = |id: &String| JsonPointer::of([features, id].into_iter().chain(below).cloned());
            ids.map(of).collect()
        }
        _ => vec![place.clone()],
    }
}
