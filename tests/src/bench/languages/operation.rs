//! The operations: what is done for a message, and what was done once when a connection was opened.

use std::hint::black_box;
use std::time::SystemTime;

use anyhow::ensure;
use bytes::Bytes;
use ditto_json::{Extraction, JsonPointer, Places};
use ditto_outbound::SignalValues;
use ditto_placeholder::{Resolution, Template};
use ditto_protocol::{Limits, Signal};
use ditto_rql::{Filter, Pending, Truth};
use serde_json::Value;

use super::super::operations::{EVENT, Operation};

const FILTER: &str = "and(gt(attributes/counter,42),like(attributes/site,\"north*\"))";
const ADDRESS: &str = "events.{{ thing:namespace }}/{{ thing:id }}";
const CONSTANT: &str = "events.{{ fn:default('Org.Acme') | fn:lower() }}/all";
const LITERAL: &str = "events.org.acme/all";

/// All of them; the first one is what the others are compared with.
///
/// # Errors
/// One of them does not do what it should.
pub(in crate::bench) fn all() -> anyhow::Result<Vec<Operation>> {
    Ok(vec![
        Operation::new("value-parse", || serde_json::from_str::<Value>(black_box(EVENT))),
        evaluate("evaluate", &Pending::nothing(), Truth::True)?,
        evaluate("could-match", &Pending::of([&"attributes/site".parse()?]), Truth::Unknown)?,
        Operation::new("compile-filter", || {
            black_box(FILTER).parse::<Filter>().map(|filter| (extraction(&filter), filter))
        }),
        resolve("resolve-address", ADDRESS, "events.org.acme.factory/org.acme.factory:press-0004")?,
        resolve("resolve-constant", CONSTANT, LITERAL)?,
        copy(),
        Operation::new("compile-address", || black_box(ADDRESS).parse::<Template>()),
    ])
}

/// The thing of an event is its value.
fn extraction(filter: &Filter) -> Extraction {
    let value = JsonPointer::of(["value"]);
    let pointers: Vec<_> = filter.pointers().map(|pointer| value.join(pointer)).collect();
    Extraction::new(&pointers)
}

/// One pass over the text of the event, and the filter on what that has found.
fn evaluate(name: &'static str, pending: &Pending, expected: Truth) -> anyhow::Result<Operation> {
    let filter: Filter = FILTER.parse()?;
    let (extraction, value, pending) = (extraction(&filter), JsonPointer::of(["value"]), pending.clone());
    let (now, mut places) = (SystemTime::now(), Places::default());
    let mut once = move || {
        let event = extraction.scan(black_box(EVENT), Limits::default().max_depth, &mut places).ok()?;
        Some(filter.could_match(&event.below(&value)?, &pending, now))
    };
    let found = once();
    ensure!(found == Some(expected), "{name}: {found:?}");
    Ok(Operation::new(name, once))
}

/// Into a buffer that is there already, with the values of a signal that was decoded.
fn resolve(name: &'static str, template: &str, expected: &str) -> anyhow::Result<Operation> {
    let template: Template = template.parse()?;
    let signal = Signal::decode(Bytes::from_static(EVENT.as_bytes()), &Limits::default())?;
    let mut out = String::new();
    let mut once = move || {
        out.clear();
        let resolution = template.resolve_into(&SignalValues::new(&signal, None), &mut out);
        black_box(out.as_str());
        (resolution == Ok(Resolution::Resolved)).then_some(out.len())
    };
    ensure!(once() == Some(expected.len()), "{name}");
    Ok(Operation::new(name, once))
}

/// What a constant is compared with: its text, copied into the same buffer.
fn copy() -> Operation {
    let mut out = String::new();
    Operation::new("copy-literal", move || {
        out.clear();
        out.push_str(black_box(LITERAL));
        black_box(out.as_str());
        Some(out.len())
    })
}
