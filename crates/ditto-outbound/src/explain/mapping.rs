//! What payload mappers are given, and what they make of it.

use ditto_mapping::{LeftOut, MapperList, Payload};
use ditto_protocol::Written;
use serde_json::{Map, Value, json};

use super::Decision;
use crate::map::requested_acks;
use crate::mappers::{Attempt, Made, Mapping, Message};
use crate::signal::RoutedSignal;
use crate::target::CompiledTarget;

/// What the mappers of the list have made of the signal.
pub(super) fn of_mappers(
    signal: &RoutedSignal,
    target: &CompiledTarget,
    list: &MapperList,
    mapping: &Mapping,
) -> Decision {
    let engine = |mapper: &str| {
        let known = list.ids().find(|(id, _)| *id == mapper);
        known.map_or("", |(_, engine)| engine)
    };
    let made = mapping.iter().filter(|attempt| matches!(attempt.end, Ok(Made::Message(_)))).count();
    let failed = mapping.iter().find_map(|attempt| attempt.end.as_ref().err());
    let left_out = mapping.iter().find_map(|attempt| match &attempt.end {
        Ok(Made::LeftOut(left_out)) => Some((attempt, left_out)),
        _ => None,
    });
    let decision = match (failed, left_out) {
        (Some(error), _) => Decision::new("mapping", false, error.to_string()).remedy(error.kind().remedy()),
        (None, Some((attempt, left_out))) if made == 0 => {
            let says = format!("payload mapper `{}`: {left_out}", attempt.mapper);
            Decision::new("mapping", false, says).remedy(remedy(engine(&attempt.mapper), left_out))
        }
        (None, _) => Decision::new("mapping", true, format!("{made} by {}", names(list))),
    };
    let attempts = || mapping.iter().map(|attempt| (attempt, engine(&attempt.mapper)));
    let lines: String = attempts().map(|(attempt, engine)| line(attempt, engine)).collect();
    let mappers: Vec<Value> = attempts().map(|(attempt, engine)| attempt_json(attempt, engine)).collect();
    let input = input(signal, target);
    decision.below(&format!("given {input}\n{lines}")).detail("input", input).detail("mappers", mappers)
}

/// The signal as mappers see it.
fn input(signal: &RoutedSignal, target: &CompiledTarget) -> String {
    let labels = requested_acks(signal.signal(), target);
    let mut text = Vec::new();
    signal.signal().write(&Written { requested_acks: labels.as_deref() }, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn names(list: &MapperList) -> String {
    list.ids().map(|(id, _)| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}

fn line(attempt: &Attempt, engine: &str) -> String {
    let says = match &attempt.end {
        Ok(Made::Message(message)) => {
            let headers: Vec<_> = headers(message).map(|(name, value)| format!("{name}: {value}")).collect();
            format!("made {} with {}", payload(message), headers.join(", "))
        }
        Ok(Made::LeftOut(left_out)) => left_out.to_string(),
        Err(error) => error.to_string(),
    };
    format!("{} ({engine}) {}\n", attempt.mapper, says.replace('\n', "\\n"))
}

fn attempt_json(attempt: &Attempt, engine: &str) -> Value {
    let (name, end) = match &attempt.end {
        Ok(Made::Message(message)) => {
            let headers: Map<String, Value> =
                headers(message).map(|(name, value)| (name.to_owned(), value.into())).collect();
            ("message", json!({ "headers": headers, "payload": payload(message) }))
        }
        Ok(Made::LeftOut(left_out)) => ("leftOut", left_out.to_string().into()),
        Err(error) => ("error", error.to_string().into()),
    };
    json!({ "mapper": &*attempt.mapper, "engine": engine, name: end })
}

fn headers(message: &Message) -> impl Iterator<Item = (&str, String)> {
    let text = |value| String::from_utf8_lossy(value).into_owned();
    message.headers.iter().map(move |(name, value)| (name.as_str(), text(value)))
}

fn payload(message: &Message) -> String {
    match &message.payload {
        Payload::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Payload::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Payload::Empty => "nothing".to_owned(),
    }
}

/// What would let a mapper make something of such a signal.
fn remedy(engine: &str, left_out: &LeftOut) -> String {
    match (left_out, engine) {
        (LeftOut::Blocked, _) => "take the content type out of `content-type-blocklist`".to_owned(),
        (LeftOut::Condition(name), _) => format!(
            "let `{name}` of its outgoingConditions hold for such signals; `ditto-connectivity eval placeholder` tries \
             `{{{{ fn:default('true') | … }}}}`"
        ),
        (LeftOut::Nothing, "Normalized") => {
            "it maps events that create, modify or merge things; `includeDeletedFields` lets it map more"
                .to_owned()
        }
        (LeftOut::Nothing, "JavaScript") => {
            "let `mapFromDittoProtocolMsg` return a message for such signals".to_owned()
        }
        (LeftOut::Nothing, engine) => {
            format!("{engine} maps nothing on the way out: name another mapper in `payloadMapping`")
        }
    }
}
