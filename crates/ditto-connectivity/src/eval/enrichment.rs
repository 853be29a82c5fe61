//! What a signal is enriched with before its filter decides (topics.md §4).

use ditto_connection::ExtraField;
use ditto_json::JsonPointer;
use ditto_outbound::{SignalValues, resolve_fields, select_fields};
use ditto_protocol::Signal;
use ditto_rql::Pending;
use serde_json::Value;

/// Where the enrichment of signals comes from, and which places of the thing it has.
#[derive(Debug, Default)]
pub(super) struct Enrichment {
    /// All of the thing, if nobody says which.
    pub(super) fields: Option<Vec<ExtraField>>,
    /// JSON text, instead of the signals' own `extra`.
    pub(super) thing: Option<String>,
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
        let thing = self.thing.as_deref().or(signal.extra())?;
        let extra = match self.places(signal) {
            Some(places) if places.is_empty() => return None,
            Some(places) => &*select_fields(thing, &places),
            None => thing,
        };
        serde_json::from_str(extra).ok()
    }

    /// The places for a signal; those whose placeholders have no value are left out.
    fn places(&self, signal: &Signal) -> Option<Vec<JsonPointer>> {
        let values = SignalValues::new(signal, None);
        self.fields.as_ref().map(|fields| resolve_fields(fields, &values))
    }
}
