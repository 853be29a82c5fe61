//! The members of a message, found in one scan (protocol.md §2).

use std::borrow::Cow;

use ditto_json::{JsonKind, RawJson, RawString, ScanError, ScanErrorKind, Scanner, decode_string};

use crate::error::{ErrorCode, ProtocolError};
use crate::headers::Entry;
use crate::id::shorten;

/// Raw members of a message. Null counts as absent; of a member that occurs twice, the last one counts.
#[derive(Debug, Default)]
pub(crate) struct Envelope<'t> {
    pub(crate) topic: Option<&'t str>,
    pub(crate) headers: Option<RawHeaders<'t>>,
    pub(crate) path: Option<&'t str>,
    /// Here null is a value: it deletes.
    pub(crate) value: Option<RawJson<'t>>,
    pub(crate) fields: Option<&'t str>,
    pub(crate) extra: Option<&'t str>,
    pub(crate) status: Option<&'t str>,
    pub(crate) revision: Option<&'t str>,
    pub(crate) timestamp: Option<&'t str>,
    pub(crate) metadata: Option<&'t str>,
}

/// The member `headers`.
#[derive(Debug)]
pub(crate) enum RawHeaders<'t> {
    /// In the order of the text.
    Members(Vec<Entry>),
    /// No object.
    Other(&'t str),
}

impl<'t> Envelope<'t> {
    /// Scans a message.
    pub(crate) fn scan(text: &'t str, max_depth: usize) -> Result<Self, ProtocolError> {
        let mut scanner = Scanner::new(text, max_depth);
        match scanner.peek() {
            Some(b'{') => {}
            Some(b'n') if text.trim_ascii() == "null" => {
                return Err(ProtocolError::new(ErrorCode::JSON_FIELD_MISSING, "member `topic` is missing"));
            }
            _ => {
                scanner.value().map_err(refusal)?;
                return Err(ProtocolError::new(
                    ErrorCode::JSON_INVALID,
                    format!("a message is a json object, not `{}`", shorten(text)),
                ));
            }
        }
        let mut envelope = Self::default();
        scanner
            .object(|scanner, name| envelope.member(scanner, name))
            .and_then(|()| scanner.end())
            .map_err(refusal)?;
        Ok(envelope)
    }

    fn member(&mut self, scanner: &mut Scanner<'t>, name: RawString<'t>) -> Result<(), ScanError> {
        let name = name.decode().unwrap_or_default();
        let member = match &*name {
            "topic" => &mut self.topic,
            "path" => &mut self.path,
            "fields" => &mut self.fields,
            "extra" => &mut self.extra,
            "status" => &mut self.status,
            "revision" => &mut self.revision,
            "timestamp" => &mut self.timestamp,
            "metadata" => &mut self.metadata,
            "headers" => {
                self.headers = RawHeaders::scan(scanner)?;
                return Ok(());
            }
            "value" => {
                self.value = Some(scanner.value()?);
                return Ok(());
            }
            _ => return scanner.value().map(drop),
        };
        let value = scanner.value()?;
        *member = if value.is_null() { None } else { Some(value.text()) };
        Ok(())
    }
}

fn refusal(error: ScanError) -> ProtocolError {
    let code = match error.kind() {
        ScanErrorKind::TooDeep => ErrorCode::MESSAGE_TOO_DEEP,
        _ => ErrorCode::JSON_INVALID,
    };
    ProtocolError::new(code, error.to_string())
}

impl<'t> RawHeaders<'t> {
    /// `None` for null.
    fn scan(scanner: &mut Scanner<'t>) -> Result<Option<Self>, ScanError> {
        if scanner.peek() != Some(b'{') {
            let value = scanner.value()?;
            return Ok((!value.is_null()).then_some(Self::Other(value.text())));
        }
        // Messages of Ditto have about ten.
        let mut members = Vec::with_capacity(12);
        scanner.object(|scanner, name| {
            if scanner.peek() == Some(b'"') {
                members.push(Entry::of_string(name, scanner.string()?));
                return Ok(());
            }
            let value = scanner.value()?;
            if !value.is_null() {
                members.push(Entry::of_json(name, value));
            }
            Ok(())
        })?;
        Ok(Some(Self::Members(members)))
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

/// A member that must be an integer.
pub(crate) fn integer(name: &str, raw: &str) -> Result<i64, ProtocolError> {
    raw.parse().map_err(|_| wrong_type(name, "an integer", raw))
}

pub(crate) fn wrong_type(name: &str, expected: &str, raw: &str) -> ProtocolError {
    ProtocolError::new(
        ErrorCode::JSON_INVALID,
        format!("member `{name}` is not {expected}: `{}`", shorten(raw)),
    )
}
