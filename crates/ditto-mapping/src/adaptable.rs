//! A Ditto Protocol message that a mapper has made of a message from outside.

use bytestring::ByteString;
use ditto_json::{RawObject, decode_string, write_string};
use ditto_protocol::{Category, ErrorCode, Headers, Limits, Signal, ThingId};

use crate::error::MappingError;

/// A Ditto Protocol message as text. Only when it becomes a signal it is read, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adaptable(ByteString);

/// What [`Adaptable::new`] is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'p> {
    /// The topic.
    pub topic: &'p str,
    /// The headers; each gets the type that its definition says.
    pub headers: &'p Headers,
    /// The path.
    pub path: &'p str,
    /// JSON text.
    pub value: Option<&'p str>,
    /// The status of an answer.
    pub status: Option<u16>,
}

/// The most that the headers of a signal may take, in characters of names and values (inbound.md §6).
const MAX_HEADERS: usize = 5 << 10;

impl Adaptable {
    /// A message that came as Ditto Protocol JSON.
    pub fn of_text(text: ByteString) -> Self {
        Self(text)
    }

    /// A message of its parts.
    pub fn new(parts: &Parts<'_>) -> Self {
        let mut out = Vec::with_capacity(128 + parts.value.map_or(0, str::len));
        out.extend_from_slice(b"{\"topic\":");
        write_string(&mut out, parts.topic);
        out.extend_from_slice(b",\"headers\":");
        parts.headers.write(&mut out);
        out.extend_from_slice(b",\"path\":");
        write_string(&mut out, parts.path);
        if let Some(value) = parts.value {
            out.extend_from_slice(b",\"value\":");
            out.extend_from_slice(value.as_bytes());
        }
        if let Some(status) = parts.status {
            out.extend_from_slice(format!(",\"status\":{status}").as_bytes());
        }
        out.push(b'}');
        // It was put together of texts.
        Self(String::from_utf8(out).unwrap_or_default().into())
    }

    /// The message.
    pub fn text(&self) -> &ByteString {
        &self.0
    }

    /// Whether it reads as a message of the Ditto Protocol.
    ///
    /// # Errors
    /// It does not, by its text or by one of its headers.
    pub fn check(&self, limits: &Limits) -> Result<(), MappingError> {
        Ok(Signal::read_topic(self.0.clone().into_bytes(), limits).map(drop)?)
    }

    /// The same message with another `correlation-id`. It must read as one.
    pub(crate) fn with_correlation_id(&self, id: &str) -> Self {
        let mut out = Vec::with_capacity(self.0.len() + id.len() + 40);
        out.extend_from_slice(b"{\"headers\":{\"correlation-id\":");
        write_string(&mut out, id);
        let mut member = |name: &str, raw: &str| {
            out.push(b',');
            write_string(&mut out, name);
            out.push(b':');
            out.extend_from_slice(raw.as_bytes());
        };
        let headers = RawObject::new(&self.0).filter(|(name, _)| name == "headers").last();
        for (name, raw) in RawObject::new(headers.map_or("", |(_, headers)| headers)) {
            if !name.eq_ignore_ascii_case("correlation-id") {
                member(&name, raw);
            }
        }
        out.push(b'}');
        let mut member = |name: &str, raw: &str| {
            out.push(b',');
            write_string(&mut out, name);
            out.push(b':');
            out.extend_from_slice(raw.as_bytes());
        };
        for (name, raw) in RawObject::new(&self.0) {
            if name != "headers" {
                member(&name, raw);
            }
        }
        out.push(b'}');
        Self(String::from_utf8(out).unwrap_or_default().into())
    }

    /// The signal that it is, with the headers that Ditto gives to one that `mapper` has mapped. Headers that only Ditto
    /// may set were never there.
    ///
    /// # Errors
    /// It is no signal; with its topic, if it reads as a message.
    pub fn signal(&self, mapper: &str, limits: &Limits) -> Result<Signal, MappingError> {
        let text = self.0.clone().into_bytes();
        let read = Signal::decode_untrusted(text.clone(), limits).and_then(|mut signal| {
            complete(&mut signal, mapper)?;
            Ok(signal)
        });
        read.map_err(|error| {
            let error = MappingError::from(error);
            match Signal::read_topic(text, limits) {
                Ok(topic) => error.with_topic(&topic),
                Err(_) => error,
            }
        })
    }
}

/// Puts what Ditto puts into the headers of a signal from outside.
fn complete(signal: &mut Signal, mapper: &str) -> Result<(), ditto_protocol::ProtocolError> {
    const SAID_BY_SIGNAL: [&str; 4] = ["ditto-entity-id", "channel", "response-required", "entity-revision"];
    let is_answer = matches!(signal.category(), Category::Response | Category::Acknowledgement);
    for name in SAID_BY_SIGNAL {
        let said = signal.derived_header(name).map(|text| text.into_owned());
        let said = said.or_else(|| (is_answer && name == "response-required").then(|| "false".to_owned()));
        if let Some(text) = said {
            signal.headers_mut().set(name, text)?;
        }
    }
    signal.headers_mut().set("ditto-inbound-payload-mapper", mapper)?;
    let size = |text: &str| text.encode_utf16().count();
    let sizes = signal.headers().iter().map(|header| size(header.name()) + size(&header.text()));
    let size: usize = sizes.sum();
    if size > MAX_HEADERS {
        return Err(ditto_protocol::ProtocolError::new(
            ErrorCode::HEADERS_TOO_LARGE,
            format!("the headers take {size} characters, more than {MAX_HEADERS}"),
        ));
    }
    Ok(())
}

/// A topic of the thing: `namespace/name/things/twin/commands/modify`.
pub(crate) fn topic_of(thing: &ThingId, rest: &str) -> String {
    format!("{}/{}/things/{rest}", thing.namespace(), thing.name())
}

/// A JSON string.
pub(crate) fn json_string(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

/// The member of a JSON object that is a string.
pub(crate) fn string_member(object: &str, name: &str) -> Option<String> {
    RawObject::new(object).member(name).and_then(decode_string).map(|text| text.into_owned())
}
