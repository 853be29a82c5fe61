//! Record headers: the first stage of the deliver stack (outbound.md §4.1, §4.2).

use std::sync::Arc;

use bytes::Bytes;
use ditto_authorization::Grants;
use ditto_mapping::{Payload, encode_text};
use ditto_placeholder::Resolution;
use ditto_protocol::{HeaderDefinition, KnownHeader};

use crate::authorize::Readable;
use crate::leaf::{HeaderName, RecordHeaders, Token};
use crate::map::{Content, Mapped};
use crate::outcome::{DeliverError, DeliverErrorKind, Refusal};
use crate::resolve::Values;
use crate::signal::{Audience, RoutedSignal};
use crate::stage::{Halt, Stage};
use crate::target::{CompiledTarget, HeaderValue};

const CONTENT_TYPE: &str = "content-type";

/// The content type of Ditto Protocol JSON.
const DITTO_PROTOCOL: Bytes = Bytes::from_static(b"application/vnd.eclipse.ditto+json");

/// Where a trace goes on (W3C Trace Context).
const TRACEPARENT: KnownHeader = KnownHeader::named("traceparent");

/// A message with its record headers.
#[derive(Debug)]
pub(crate) struct WithHeaders {
    pub(crate) token: Token,
    pub(crate) signal: Readable<Arc<RoutedSignal>>,
    pub(crate) target: Arc<CompiledTarget>,
    pub(crate) payload: Bytes,
    pub(crate) headers: RecordHeaders,
}

/// Puts the mapper's headers, those of the target's header mapping, the trace that the signal belongs to, and at last the
/// connection's id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MapHeaders;

impl Stage<Mapped> for MapHeaders {
    type Output = WithHeaders;

    fn apply(&self, Mapped { token, signal, target, content }: Mapped) -> Result<WithHeaders, Halt> {
        let mut headers = RecordHeaders::new();
        match &content {
            Content::Ditto(payload) => {
                headers.push((HeaderName::Static(CONTENT_TYPE), DITTO_PROTOCOL));
                if target.stamps() {
                    stamp(signal.get(), &mut headers);
                    let payload = payload.clone();
                    return Ok(WithHeaders { token, signal, target, payload, headers });
                }
                if let Some(id) = signal.get().signal().headers().correlation_id() {
                    headers.push((HeaderName::Static("correlation-id"), id.shared_text().into_bytes()));
                }
            }
            Content::Own(message) => headers.extend(message.headers.iter().cloned()),
        }
        let values = Values { signal: signal.get(), target: &target };
        for (name, value) in target.headers() {
            let value = match value {
                HeaderValue::Constant(value) => value.clone(),
                HeaderValue::Template(template) => {
                    let mut text = String::new();
                    match template.resolve_into(&values, &mut text) {
                        Ok(Resolution::Resolved) => text.into(),
                        // This header is left out; the others and the message go on.
                        Ok(Resolution::Unresolved | Resolution::Deleted) => continue,
                        Err(error) => {
                            let kind = DeliverErrorKind::Record(Refusal { retriable: false });
                            let detail = format!("header `{}`: {error}", name.as_str());
                            return Err(Halt::Fail(DeliverError::new(kind, detail)));
                        }
                    }
                }
            };
            put(&mut headers, name.clone(), value);
        }
        // Whoever goes on with a trace looks at the record, not into the message.
        if let Some(parent) = signal.get().signal().headers().known(TRACEPARENT) {
            put(&mut headers, HeaderName::Static("traceparent"), parent.shared_text().into_bytes());
        }
        put(&mut headers, HeaderName::Static("ditto-connection-id"), target.connection_id_bytes().clone());
        let payload = match content {
            Content::Ditto(text) if target.maps_content_type() => in_charset(&text, &headers),
            Content::Ditto(text) => text,
            Content::Own(message) => match &message.payload {
                Payload::Text(text) => in_charset(text, &headers),
                Payload::Bytes(bytes) => bytes.clone(),
                // Not a tombstone.
                Payload::Empty => Bytes::new(),
            },
        };
        Ok(WithHeaders { token, signal, target, payload, headers })
    }
}

/// A text in the charset that the content type of its record names.
fn in_charset(text: &Bytes, headers: &RecordHeaders) -> Bytes {
    let content_type = headers.iter().find(|(name, _)| name.as_str().eq_ignore_ascii_case(CONTENT_TYPE));
    match content_type.and_then(|(_, value)| std::str::from_utf8(value).ok()) {
        Some(content_type) => encode_text(text, content_type),
        None => text.clone(),
    }
}

/// Puts who may read the signal, and what else must not be in its payload.
fn stamp(signal: &RoutedSignal, headers: &mut RecordHeaders) {
    for header in signal.signal().headers().iter() {
        if header.definition().is_some_and(HeaderDefinition::is_internal) {
            headers.push((HeaderName::Mapped(header.name().into()), header.shared_text().into_bytes()));
        }
    }
    let grants = match signal.audience() {
        Some(Audience::Policy(_, grants) | Audience::Subjects(grants)) => grants.headers(),
        Some(Audience::Nobody(_)) => Grants::default().headers(),
        Some(Audience::OwnConnection) | None => return,
    };
    put(headers, HeaderName::Static("ditto-read-subjects"), grants.read.into());
    for (name, value) in
        [("ditto-read-revoked-subjects", grants.revoked), ("ditto-partial-access-paths", grants.partial)]
    {
        headers.retain(|(known, _)| known.as_str() != name);
        headers.extend(value.map(|value| (HeaderName::Static(name), value.into())));
    }
}

/// Puts a header in place of that of exactly this name.
fn put(headers: &mut RecordHeaders, name: HeaderName, value: Bytes) {
    match headers.iter_mut().find(|(known, _)| known.as_str() == name.as_str()) {
        Some((_, old)) => *old = value,
        None => headers.push((name, value)),
    }
}
