//! Acknowledgements (protocol.md §5, outbound.md §6).

use ditto_json::write_string;

use crate::definitions::{HeaderDefinition, header_definition};
use crate::kind::Category;
use crate::signal::{EntityKind, Signal};

/// What a target says of a signal to whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acknowledgement {
    /// The label, resolved.
    pub label: String,
    /// HTTP status.
    pub status: u16,
    /// JSON text of the value.
    pub value: Option<String>,
    /// Whether it only says that nothing will be published.
    pub is_weak: bool,
    /// Headers as texts.
    pub headers: Vec<(String, String)>,
}

/// The header that tells which connection an acknowledgement comes from.
const CONNECTION_ID: &str = "ditto-connection-id";

impl Acknowledgement {
    /// The acknowledgement of a send that was tried by connection `connection_id`.
    pub fn of_send(
        signal: &Signal,
        connection_id: &str,
        label: &str,
        status: u16,
        value: Option<String>,
    ) -> Self {
        let mut headers = headers_of(signal);
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(CONNECTION_ID));
        headers.push((CONNECTION_ID.to_owned(), connection_id.to_owned()));
        Self { label: label.to_owned(), status, value, is_weak: false, headers }
    }

    /// The acknowledgement of a signal that failed before a send was tried; `reason` says why.
    pub fn failed(signal: &Signal, label: &str, status: u16, reason: &str) -> Self {
        let headers = headers_of(signal);
        Self { label: label.to_owned(), status, value: text(reason), is_weak: false, headers }
    }

    /// The weak acknowledgement that nothing is published; `reason` says why.
    pub fn weak(signal: &Signal, label: &str, reason: &str) -> Self {
        let mut headers = headers_of(signal);
        headers.push(("ditto-weak-ack".to_owned(), "true".to_owned()));
        Self { label: label.to_owned(), status: 200, value: text(reason), is_weak: true, headers }
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Those that are written outside.
    fn write_headers(&self, out: &mut Vec<u8>) {
        let is_outside =
            |name: &str| header_definition(name).is_none_or(HeaderDefinition::is_written_outside);
        out.push(b'{');
        for (at, (name, text)) in self.headers.iter().filter(|(name, _)| is_outside(name)).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_string(out, name);
            out.push(b':');
            write_string(out, text);
        }
        out.push(b'}');
    }
}

/// A text as JSON.
fn text(text: &str) -> Option<String> {
    let mut value = Vec::new();
    write_string(&mut value, text);
    String::from_utf8(value).ok()
}

/// Acknowledgements of one signal that go out together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgements {
    namespace: String,
    name: String,
    is_live: bool,
    acknowledgements: Vec<Acknowledgement>,
}

impl Acknowledgements {
    /// Acknowledgements of `signal`; `None` if there are none.
    pub fn of(signal: &Signal, acknowledgements: Vec<Acknowledgement>) -> Option<Self> {
        let entity = signal.entity();
        (!acknowledgements.is_empty()).then(|| Self {
            namespace: entity.namespace().unwrap_or("_").to_owned(),
            name: entity.name().to_owned(),
            is_live: signal.is_live(),
            acknowledgements,
        })
    }

    /// The single ones.
    pub fn iter(&self) -> impl Iterator<Item = &Acknowledgement> {
        self.acknowledgements.iter()
    }

    /// The id of the entity that was signalled.
    pub fn entity_id(&self) -> String {
        format!("{}:{}", self.namespace, self.name)
    }

    /// The status of a single one; of several, 200 if all succeeded and 424 otherwise.
    pub fn status(&self) -> u16 {
        match self.acknowledgements.as_slice() {
            [single] => single.status,
            several if several.iter().all(Acknowledgement::is_success) => 200,
            _ => 424,
        }
    }

    /// Appends the Ditto Protocol message: one acknowledgement as itself, several as an object by label.
    pub fn write(&self, out: &mut Vec<u8>) {
        let channel = if self.is_live { "live" } else { "twin" };
        let mut topic = format!("{}/{}/things/{channel}/acks", self.namespace, self.name);
        let single = match self.acknowledgements.as_slice() {
            [single] => Some(single),
            _ => None,
        };
        if let Some(single) = single {
            topic = format!("{topic}/{}", single.label);
        }
        out.extend_from_slice(b"{\"topic\":");
        write_string(out, &topic);
        out.extend_from_slice(b",\"headers\":");
        match (single, self.acknowledgements.first()) {
            (Some(single), _) => single.write_headers(out),
            (None, Some(first)) => write_correlation(first, out),
            (None, None) => out.extend_from_slice(b"{}"),
        }
        out.extend_from_slice(b",\"path\":\"/\"");
        match single {
            Some(single) => {
                if let Some(value) = &single.value {
                    out.extend_from_slice(b",\"value\":");
                    out.extend_from_slice(value.as_bytes());
                }
            }
            None => {
                out.extend_from_slice(b",\"value\":");
                self.write_by_label(out);
            }
        }
        out.extend_from_slice(format!(",\"status\":{}}}", self.status()).as_bytes());
    }

    /// `{label: {status, payload?, headers}}`; a label with several acknowledgements has an array of those.
    fn write_by_label(&self, out: &mut Vec<u8>) {
        let mut labels: Vec<&str> = Vec::new();
        for acknowledgement in &self.acknowledgements {
            if !labels.contains(&acknowledgement.label.as_str()) {
                labels.push(&acknowledgement.label);
            }
        }
        out.push(b'{');
        for (at, label) in labels.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_string(out, label);
            out.push(b':');
            let of_label: Vec<_> = self.acknowledgements.iter().filter(|one| one.label == label).collect();
            let several = of_label.len() > 1;
            out.extend_from_slice(if several { b"[" } else { b"" });
            for (at, one) in of_label.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(format!("{{\"status\":{}", one.status).as_bytes());
                if let Some(value) = &one.value {
                    out.extend_from_slice(b",\"payload\":");
                    out.extend_from_slice(value.as_bytes());
                }
                out.extend_from_slice(b",\"headers\":");
                one.write_headers(out);
                out.push(b'}');
            }
            out.extend_from_slice(if several { b"]" } else { b"" });
        }
        out.push(b'}');
    }
}

fn write_correlation(acknowledgement: &Acknowledgement, out: &mut Vec<u8>) {
    out.push(b'{');
    if let Some((name, id)) =
        acknowledgement.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("correlation-id"))
    {
        write_string(out, name);
        out.push(b':');
        write_string(out, id);
    }
    out.push(b'}');
}

/// Headers of an acknowledgement: those of the signal with its internal ones, without `requested-acks`, and what the
/// signal itself says (outbound.md §4.1).
fn headers_of(signal: &Signal) -> Vec<(String, String)> {
    let derived = ["requested-acks", "ditto-entity-id", "response-required", "channel"];
    let is_event = signal.category() == Category::Event;
    let mut headers: Vec<(String, String)> = signal
        .headers()
        .iter()
        .filter(|header| !derived.iter().any(|name| header.is_named(name)))
        .filter(|header| !(is_event && header.is_named("entity-revision")))
        .map(|header| (header.name().to_owned(), header.text().into_owned()))
        .collect();
    let mut add = |name: &str, text: String| headers.push((name.to_owned(), text));
    let entity = signal.entity();
    if entity.kind() != EntityKind::None {
        add("ditto-entity-id", format!("{}:{entity}", entity.kind().as_str()));
    }
    if let Some(revision) = signal.revision().filter(|_| is_event) {
        add("entity-revision", revision.to_string());
    }
    if signal.is_live() {
        add("channel", "live".to_owned());
    }
    add("response-required", "false".to_owned());
    headers
}
