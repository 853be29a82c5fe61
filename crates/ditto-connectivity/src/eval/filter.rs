//! A filter on a thing and on signals.

use std::time::SystemTime;

use ditto_outbound::SignalFields;
use ditto_protocol::Signal;
use ditto_rql::{Fields, Filter, Pending, Truth};

use super::enrichment::Enrichment;
use super::output::Answer;

/// Says whether a filter holds for a thing, and why.
pub(super) fn on_thing(filter: &Filter, thing: &dyn Fields) -> Answer {
    let mut answer = Answer::default();
    let explanation = filter.explain(thing, &Pending::nothing(), SystemTime::now());
    answer.say(&format!("matches: {}", explanation.truth), "matches", explanation.truth == Truth::True);
    answer.below(&explanation.to_string());
    answer.member("explanation", explanation.to_json());
    answer
}

/// Says what a filter makes of a signal, before its enrichment and after it, and why. Adds to the answer whether it matches, and
/// returns that: `None` if only an enrichment that is not known can tell.
pub(super) fn on_signal(
    filter: &Filter,
    signal: &Signal,
    enrichment: &Enrichment,
    answer: &mut Answer,
) -> Option<bool> {
    // The same moment for both.
    let now = SystemTime::now();
    let known = SignalFields::new(signal);
    let before = filter.explain(&known, &enrichment.pending(signal), now);
    answer.say(&format!("could match: {}", before.truth), "couldMatch", before.truth.to_string());
    answer.below(&before.to_string());
    answer.member("before", before.to_json());
    let extra = enrichment.extra(signal).filter(|_| before.truth.is_possible());
    let after = extra.map(|extra| filter.explain(&known.enriched(&extra), &Pending::nothing(), now));
    if let Some(after) = &after {
        answer.text.push_str(&format!("after enrichment: {}\n", after.truth));
        answer.below(&after.to_string());
        answer.member("after", after.to_json());
    }
    let matches = match after.map_or(before.truth, |after| after.truth) {
        Truth::True => Some(true),
        Truth::False => Some(false),
        Truth::Unknown => None,
    };
    let said = match matches {
        Some(matches) => matches.to_string(),
        None => "not known: the enrichment decides; name a file with the thing (--thing)".to_owned(),
    };
    answer.say(&format!("matches: {said}"), "matches", matches);
    matches
}
