//! Payload mappers of targets: read with the definition, and what they have made of a signal.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use ditto_connection::{Connection, MapperFinding, MappingDefinition, Target};
use ditto_mapping::{
    Engines, Finding, LeftOut, MapperList, Mappings, Outcome, OutgoingMessage, Payload, Severity,
};
use serde_json::{Map, Value, json};

use crate::leaf::HeaderName;
use crate::outcome::DeliverError;

/// How a target makes messages of a signal.
#[derive(Debug)]
pub(crate) enum TargetMapping {
    /// As it is written in the Ditto Protocol: the usual case, which costs nothing more.
    Ditto,
    /// By these mappers.
    Mappers(MapperList),
    /// By none: a mapper that it names cannot be used, so each of its signals fails.
    Broken(DeliverError),
}

/// A message that a mapper has made.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) headers: Vec<(HeaderName, Bytes)>,
    pub(crate) payload: Payload,
}

/// What the mappers of a list have made of a signal, in their order; several of one mapper follow each other.
pub(crate) type Mapping = Vec<Attempt>;

/// What one mapper has made.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) mapper: Box<str>,
    pub(crate) end: Result<Made, DeliverError>,
}

#[derive(Debug)]
pub(crate) enum Made {
    Message(Arc<Message>),
    LeftOut(LeftOut),
}

impl TargetMapping {
    pub(crate) fn compile(mappings: &Mappings, target: &Target) -> Self {
        match mappings.list(target.payload_mapping(), "payloadMapping") {
            Ok(list) if list.is_ditto() => Self::Ditto,
            Ok(list) => Self::Mappers(list),
            Err(findings) => {
                let reasons: Vec<_> = findings.iter().map(ToString::to_string).collect();
                Self::Broken(DeliverError::mapping(&reasons.join("; ")))
            }
        }
    }
}

impl Attempt {
    pub(crate) fn new(mapper: &str, outcome: Outcome<OutgoingMessage>) -> Self {
        let end = match outcome {
            Outcome::Mapped(message) => Ok(Made::Message(Arc::new(Message::new(message)))),
            Outcome::Dropped(left_out) => Ok(Made::LeftOut(left_out)),
            Outcome::Failed(error) => Err(DeliverError::mapping(&error)),
        };
        Self { mapper: mapper.into(), end }
    }
}

impl Message {
    fn new(message: OutgoingMessage) -> Self {
        let (headers, payload) = message.into_parts();
        let name = |name| match name {
            Cow::Borrowed(name) => HeaderName::Static(name),
            Cow::Owned(name) => HeaderName::Mapped(name.into()),
        };
        let headers = headers.map(|(text, value)| (name(text), value.into_bytes()));
        let mut headers: Vec<(HeaderName, Bytes)> = headers.collect();
        // The reference writes a name with capitals in small letters as well (mapping.md §9).
        for at in 0..headers.len() {
            let Some((name, value)) = headers.get(at).filter(|(name, _)| has_capitals(name.as_str())) else {
                continue;
            };
            let (small, value) = (name.as_str().to_lowercase(), value.clone());
            if !headers.iter().any(|(known, _)| known.as_str() == small) {
                headers.push((HeaderName::Mapped(small.into()), value));
            }
        }
        Self { headers, payload }
    }
}

fn has_capitals(name: &str) -> bool {
    name.chars().any(char::is_uppercase)
}

/// Reads the mappers of a connection.
pub(crate) fn mappings(connection: &Connection, engines: &Engines) -> Mappings {
    let definitions = connection.mapping_definitions().iter();
    let definitions: Map<_, _> = definitions.map(|it| (it.id().to_owned(), definition_json(it))).collect();
    Mappings::read(Some(&definitions.into()), engines)
}

/// What a kind of mapper finds wrong with its options in a definition. For [`ditto_connection::Draft::with_mappers`].
pub fn check_mapper(definition: &MappingDefinition, engines: &Engines) -> Vec<MapperFinding> {
    let definitions = json!({ "m": definition_json(definition) });
    let findings = Mappings::read(Some(&definitions), engines).findings(|_| true);
    let of_definition = |Finding { severity, pointer, reason, remedy, .. }| {
        let severity = match severity {
            Severity::Error => ditto_connection::Severity::Error,
            Severity::Warning => ditto_connection::Severity::Warning,
        };
        let pointer = pointer.strip_prefix("/mappingDefinitions/m").unwrap_or(&pointer).to_owned();
        MapperFinding { severity, pointer, reason, remedy }
    };
    findings.into_iter().map(of_definition).collect()
}

fn definition_json(definition: &MappingDefinition) -> Value {
    let conditions = |list: &[(String, String)]| -> Map<_, _> {
        list.iter().map(|(name, condition)| (name.clone(), condition.as_str().into())).collect()
    };
    json!({
        "mappingEngine": definition.engine(),
        "options": definition.options(),
        "incomingConditions": conditions(definition.incoming_conditions()),
        "outgoingConditions": conditions(definition.outgoing_conditions()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_capitals_are_there_in_small_letters_too() {
        let message = OutgoingMessage::new(Payload::Empty)
            .with_header("Mixed-Case", "1")
            .with_header("Content-Type", "2")
            .with_header("content-type", "3");
        let headers = Message::new(message).headers;
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        let expected: [(&str, &[u8]); 4] =
            [("Mixed-Case", b"1"), ("Content-Type", b"2"), ("content-type", b"3"), ("mixed-case", b"1")];
        assert_eq!(headers, expected);
    }
}
