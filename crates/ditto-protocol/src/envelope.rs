//! The members of a message, found in one scan (protocol.md §2).

use std::borrow::Cow;
use std::ops::Range;

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
    /// Where the value of `headers` stands.
    pub(crate) headers_place: Option<Range<usize>>,
    /// Whether a member is unknown, null, there twice, or read but never written.
    pub(crate) is_unusual: bool,
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
            "extra" => &mut self.extra,
            "status" => &mut self.status,
            "revision" => &mut self.revision,
            "timestamp" => &mut self.timestamp,
            "headers" => {
                self.is_unusual |= self.headers_place.is_some();
                let (headers, place) = RawHeaders::scan(scanner)?;
                (self.headers, self.headers_place) = (headers, Some(place));
                return Ok(());
            }
            "value" => {
                self.is_unusual |= self.value.is_some();
                self.value = Some(scanner.value()?);
                return Ok(());
            }
            other => {
                // Read, and not written back.
                self.is_unusual = true;
                match other {
                    "fields" => &mut self.fields,
                    "metadata" => &mut self.metadata,
                    _ => return scanner.value().map(drop),
                }
            }
        };
        let value = scanner.value()?;
        self.is_unusual |= member.is_some() || value.is_null();
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
    /// Of a text that is well formed.
    pub(crate) fn of_text(text: &'t str) -> Result<Option<Self>, ProtocolError> {
        Self::scan(&mut Scanner::new(text, usize::MAX)).map(|(headers, _)| headers).map_err(refusal)
    }

    /// `None` for null; and where it stands.
    fn scan(scanner: &mut Scanner<'t>) -> Result<(Option<Self>, Range<usize>), ScanError> {
        let is_object = scanner.peek() == Some(b'{');
        let start = scanner.offset();
        if !is_object {
            let value = scanner.value()?;
            return Ok(((!value.is_null()).then_some(Self::Other(value.text())), value.place()));
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
        Ok((Some(Self::Members(members)), start..scanner.offset()))
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

pub(crate) fn wrong_type(name: &str, expected: &str, raw: &str) -> ProtocolError {
    ProtocolError::new(
        ErrorCode::JSON_INVALID,
        format!("member `{name}` is not {expected}: `{}`", shorten(raw)),
    )
}
