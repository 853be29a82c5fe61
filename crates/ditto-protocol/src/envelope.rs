//! The members of a message, found in one scan (protocol.md §2).

use std::borrow::Cow;
use std::fmt;

use ditto_json::{JsonKind, decode_string};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{ErrorCode, ProtocolError};
use crate::id::shorten;

/// Raw members of a message. Null counts as absent; of a member that occurs twice, the last one counts.
#[derive(Debug, Default)]
pub(crate) struct Envelope<'t> {
    pub(crate) topic: Option<&'t str>,
    pub(crate) headers: Option<&'t str>,
    pub(crate) path: Option<&'t str>,
    /// Here null is a value: it deletes.
    pub(crate) value: Option<&'t str>,
    pub(crate) fields: Option<&'t str>,
    pub(crate) extra: Option<&'t str>,
    pub(crate) status: Option<&'t str>,
    pub(crate) revision: Option<&'t str>,
    pub(crate) timestamp: Option<&'t str>,
    pub(crate) metadata: Option<&'t str>,
}

impl<'t> Envelope<'t> {
    /// Scans a message.
    pub(crate) fn scan(text: &'t str) -> Result<Self, ProtocolError> {
        match JsonKind::of(text) {
            JsonKind::Object => {}
            JsonKind::Null if text.trim_ascii() == "null" => {
                return Err(ProtocolError::new(ErrorCode::JSON_FIELD_MISSING, "member `topic` is missing"));
            }
            _ => {
                return Err(ProtocolError::new(
                    ErrorCode::JSON_INVALID,
                    format!("a message is a json object, not `{}`", shorten(text)),
                ));
            }
        }
        serde_json::from_str(text)
            .map_err(|error| ProtocolError::new(ErrorCode::JSON_INVALID, format!("invalid json: {error}")))
    }
}

/// A member that must be a string.
pub(crate) fn string<'t>(name: &str, raw: &'t str) -> Result<Cow<'t, str>, ProtocolError> {
    decode_string(raw).ok_or_else(|| wrong_type(name, "a string", raw))
}

/// A member that must be an object.
pub(crate) fn object<'t>(name: &str, raw: &'t str) -> Result<&'t str, ProtocolError> {
    if JsonKind::of(raw) == JsonKind::Object { Ok(raw) } else { Err(wrong_type(name, "an object", raw)) }
}

/// A member that must be an integer; `3.0` and `3e0` are.
pub(crate) fn integer(name: &str, raw: &str) -> Result<i64, ProtocolError> {
    // Beyond 2^53 a fraction cannot be told from none.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = |number: &f64| number.fract() == 0.0 && number.abs() <= EXACT;
    raw.parse()
        .ok()
        .or_else(|| raw.parse().ok().filter(whole).map(|number| number as i64))
        .ok_or_else(|| wrong_type(name, "an integer", raw))
}

fn wrong_type(name: &str, expected: &str, raw: &str) -> ProtocolError {
    ProtocolError::new(
        ErrorCode::JSON_INVALID,
        format!("member `{name}` is not {expected}: `{}`", shorten(raw)),
    )
}

/// A member name: borrowed unless it has escapes, which serde's own `Cow` never is.
struct Name<'t>(Cow<'t, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Name<'de>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EnvelopeVisitor;
        impl<'de> Visitor<'de> for EnvelopeVisitor {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(Name(name)) = map.next_key()? {
                    let member = match &*name {
                        "topic" => &mut envelope.topic,
                        "headers" => &mut envelope.headers,
                        "path" => &mut envelope.path,
                        "value" => {
                            envelope.value = Some(map.next_value::<&RawValue>()?.get());
                            continue;
                        }
                        "fields" => &mut envelope.fields,
                        "extra" => &mut envelope.extra,
                        "status" => &mut envelope.status,
                        "revision" => &mut envelope.revision,
                        "timestamp" => &mut envelope.timestamp,
                        "metadata" => &mut envelope.metadata,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *member = Some(map.next_value::<&RawValue>()?.get()).filter(|raw| *raw != "null");
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}
