//! What mappers answer, as text.

use std::fmt::Write;

use bytes::Bytes;
use ditto_placeholder::{Placeholder, Resolve};
use ditto_protocol::{Limits, Signal, Written};
use serde_json::{Value, json};

use crate::{
    Engines, ExternalMessage, LaneMappers, MapperList, MappingLimits, Mappings, Outcome, OutgoingSignal,
    Payload,
};

/// The mapper of one definition.
pub(crate) fn list(definition: Value) -> MapperList {
    let mappings = Mappings::read(Some(&json!({ "m": definition })), &Engines::default());
    mappings.list(&["m"], "").unwrap()
}

pub(crate) fn headers(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What a definition makes of a record: for each outcome a line with topic, path, status, headers and value.
pub(crate) fn incoming(definition: Value, sent: &[(&str, &str)], payload: &str) -> String {
    let message = ExternalMessage::of_record(headers(sent), Some(Bytes::from(payload.to_owned())));
    let mut lane = LaneMappers::new(MappingLimits::default());
    received(&mut lane, &list(definition), &message.with_subjects(vec!["i:s".to_owned(), "i:t".to_owned()]))
}

pub(crate) fn received(lane: &mut LaneMappers, list: &MapperList, message: &ExternalMessage) -> String {
    let mut text = String::new();
    lane.incoming(list, message, "c", |_, outcome| {
        let _ = match outcome {
            Outcome::Mapped(signal) => {
                let mut headers: Vec<_> = signal
                    .headers()
                    .iter()
                    .filter(|header| !header.name().starts_with("ditto-"))
                    .map(|header| format!("{}={}", header.name(), header.text()))
                    .collect();
                headers.sort();
                let status = signal.status().map(|status| format!(" {status}")).unwrap_or_default();
                let value = signal.value().unwrap_or("-");
                writeln!(text, "{} {}{status} {} {value}", signal.topic(), signal.path(), headers.join(","))
            }
            Outcome::Dropped(_) => writeln!(text, "dropped"),
            Outcome::Failed(error) => {
                let topic = error.topic().map(|topic| format!(" at {topic}")).unwrap_or_default();
                writeln!(
                    text,
                    "{} {}{topic}: {}; {}",
                    error.status(),
                    error.code(),
                    error.reason(),
                    error.remedy()
                )
            }
        };
    });
    text
}

/// Knows the channel of a topic, and nothing else.
pub(crate) struct Values;

impl Resolve for Values {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        (*placeholder == Placeholder::TopicChannel).then(|| out.push_str("twin"))
    }
}

/// What a definition makes of a signal: for each outcome a line with headers and payload.
pub(crate) fn outgoing(definition: Value, message: Value) -> String {
    let signal = Signal::decode(message.to_string().into(), &Limits::default()).unwrap();
    let mut lane = LaneMappers::new(MappingLimits::default());
    let mut text = String::new();
    lane.outgoing(
        &list(definition),
        &OutgoingSignal::new(&signal, Written::default(), &Values),
        |_, outcome| {
            let _ = match outcome {
                Outcome::Mapped(message) => {
                    let mut headers: Vec<_> =
                        message.headers().map(|(name, value)| format!("{name}={value}")).collect();
                    headers.sort();
                    let payload = match message.payload() {
                        Payload::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                        Payload::Bytes(bytes) => format!("{:?}", &bytes[..]),
                        Payload::Empty => "-".to_owned(),
                    };
                    writeln!(text, "{} {payload}", headers.join(","))
                }
                Outcome::Dropped(_) => writeln!(text, "dropped"),
                Outcome::Failed(error) => {
                    writeln!(text, "{} {}: {}", error.status(), error.code(), error.reason())
                }
            };
        },
    );
    text
}
