//! Headers of signals (protocol.md §11).

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use bytestring::ByteString;
use ditto_json::{RawJson, RawString, decode_string, write_string};

use crate::definitions::{HeaderDefinition, KnownHeader, header_definition};
use crate::duration::parse_duration;
use crate::envelope::{RawHeaders, wrong_type};
use crate::error::ProtocolError;
use crate::id::AckLabel;
use crate::piece::Piece;

/// The headers of a signal, in the order of their text.
///
/// Names are found in any case and keep their spelling; of a name that occurs twice, the last value counts.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    /// The message that the spans point into.
    text: ByteString,
    entries: Vec<Entry>,
    /// The bits of the known ones that are there: most look-ups are for headers that are not.
    known: u64,
}

/// A header in a message, or beside it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    name: Piece,
    value: Piece,
    form: Form,
    definition: Option<&'static HeaderDefinition>,
}

/// How the value of a header stands in its piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As its text, which is also what stands between the quotes of its JSON string.
    Plain,
    /// As its text.
    Text,
    /// As a JSON string with escapes, in quotes.
    Escaped,
    /// As any other JSON.
    Json,
}

/// One header.
#[derive(Debug, Clone, Copy)]
pub struct Header<'h> {
    text: &'h ByteString,
    entry: &'h Entry,
}

impl<'h> Header<'h> {
    /// The name as it was written.
    pub fn name(&self) -> &'h str {
        self.entry.name.of(self.text)
    }

    /// The value as text: a JSON string decoded, any other value as JSON text.
    pub fn text(&self) -> Cow<'h, str> {
        let value = self.entry.value.of(self.text);
        match self.entry.form {
            Form::Escaped => decode_string(value).unwrap_or(Cow::Borrowed(value)),
            Form::Plain | Form::Text | Form::Json => Cow::Borrowed(value),
        }
    }

    /// The value as text that shares the message's memory where nothing had to be decoded.
    pub fn shared_text(&self) -> ByteString {
        match (self.text(), &self.entry.value) {
            (Cow::Borrowed(text), Piece::Span { .. }) => self.text.slice_ref(text),
            (text, _) => text.into_owned().into(),
        }
    }

    /// What the protocol says of this header; `None` for names that it does not know.
    pub fn definition(&self) -> Option<&'static HeaderDefinition> {
        self.entry.definition
    }

    /// Appends the name as a JSON string.
    pub(crate) fn write_name(&self, out: &mut Vec<u8>) {
        let name = self.name();
        match self.entry.name {
            // It stands in the message's JSON like this.
            Piece::Span { .. } => {
                out.push(b'"');
                out.extend_from_slice(name.as_bytes());
                out.push(b'"');
            }
            Piece::Own(_) => write_string(out, name),
        }
    }

    /// Whether it has this name, in any case.
    pub fn is_named(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
    }

    /// Appends name and value as they are written outside: the value with the type that its definition gives it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let value = self.entry.value.of(self.text);
        let is_json = self.definition().is_some_and(|definition| definition.kind().is_json());
        // Where both stand in the message one after the other, and the value has its type, they are copied as one.
        let end = match (self.entry.form, is_json) {
            (Form::Plain, false) => 1,
            (Form::Json, true) => 0,
            (form, _) => {
                self.write_name(out);
                out.push(b':');
                match form {
                    _ if is_json => out.extend_from_slice(self.text().as_bytes()),
                    Form::Escaped => out.extend_from_slice(value.as_bytes()),
                    _ => write_string(out, value),
                }
                return;
            }
        };
        let both = match (&self.entry.name, &self.entry.value) {
            (Piece::Span { start, .. }, Piece::Span { end: value_end, .. }) => {
                let (start, value_end) = (*start as usize, *value_end as usize);
                start.checked_sub(1).and_then(|start| self.text.get(start..value_end + end))
            }
            _ => None,
        };
        match both {
            Some(both) => out.extend_from_slice(both.as_bytes()),
            None => {
                self.write_name(out);
                out.push(b':');
                if is_json { out.extend_from_slice(value.as_bytes()) } else { write_string(out, value) }
            }
        }
    }
}

impl Entry {
    /// A header of a message whose value is a string.
    pub(crate) fn of_string(name: RawString<'_>, value: RawString<'_>) -> Self {
        match value.plain_place() {
            Some(place) => Self::of_message(name, place, Form::Plain),
            None => Self::of_message(name, value.place(), Form::Escaped),
        }
    }

    /// A header of a message whose value is no string.
    pub(crate) fn of_json(name: RawString<'_>, value: RawJson<'_>) -> Self {
        Self::of_message(name, value.place(), Form::Json)
    }

    fn of_message(name: RawString<'_>, value: Range<usize>, form: Form) -> Self {
        let (definition, name) = match (name.plain(), name.plain_place()) {
            (Some(text), Some(place)) => (header_definition(text), Piece::at(place)),
            _ => {
                let text = name.decode().unwrap_or(Cow::Borrowed(name.quoted())).into_owned();
                (header_definition(&text), Piece::Own(text.into()))
            }
        };
        Self { name, value: Piece::at(value), form, definition }
    }

    fn new(text: &str, name: Piece, value: Piece, form: Form) -> Self {
        let definition = header_definition(name.of(text));
        Self { name, value, form, definition }
    }

    fn is_named(&self, text: &str, name: &str) -> bool {
        self.name.of(text).eq_ignore_ascii_case(name)
    }
}

impl Headers {
    /// Headers of names and texts, checked; a name that occurs twice keeps the last value.
    ///
    /// # Errors
    /// `header.invalid` or `timeout.invalid` with the header's name.
    pub fn of_text<N, V>(headers: impl IntoIterator<Item = (N, V)>) -> Result<Self, ProtocolError>
    where
        N: Into<Box<str>>,
        V: Into<Box<str>>,
    {
        let entries = headers
            .into_iter()
            .map(|(name, value)| {
                Entry::new("", Piece::Own(name.into()), Piece::Own(value.into()), Form::Text)
            })
            .collect();
        Self::checked(ByteString::new(), entries)
    }

    /// The headers of an envelope within `text`, with or without those that only Ditto itself may set.
    pub(crate) fn of_envelope(
        text: &ByteString,
        headers: RawHeaders<'_>,
        keeps_internal: bool,
    ) -> Result<Self, ProtocolError> {
        let mut entries = match headers {
            RawHeaders::Members(entries) => entries,
            RawHeaders::Other(raw) => return Err(wrong_type("headers", "an object", raw)),
        };
        if !keeps_internal {
            entries.retain(|entry| !entry.definition.is_some_and(HeaderDefinition::is_internal));
        }
        Self::checked(text.clone(), entries)
    }

    fn checked(text: ByteString, mut entries: Vec<Entry>) -> Result<Self, ProtocolError> {
        deduplicate(&text, &mut entries);
        let known = entries.iter().filter_map(|entry| entry.definition).fold(0, |known, it| known | it.bit());
        let headers = Self { text, entries, known };
        for header in headers.iter() {
            match header.definition() {
                Some(definition) if header.entry.form == Form::Json => {
                    definition.check_json(header.entry.value.of(&headers.text))?;
                }
                Some(definition) => definition.check(&header.text())?,
                None => {}
            }
        }
        Ok(headers)
    }

    /// The headers in order.
    pub fn iter(&self) -> impl Iterator<Item = Header<'_>> {
        self.entries.iter().map(|entry| Header { text: &self.text, entry })
    }

    /// The header of that name, in any case.
    pub fn get(&self, name: &str) -> Option<Header<'_>> {
        match header_definition(name) {
            Some(definition) => self.known(definition.known()),
            None => self.iter().find(|header| header.is_named(name)),
        }
    }

    /// A known header, if it is there.
    pub fn known(&self, header: KnownHeader) -> Option<Header<'_>> {
        if self.known & header.bit() == 0 {
            return None;
        }
        self.iter().find(|it| it.definition().is_some_and(|definition| definition.known() == header))
    }

    /// The text of a known header.
    pub fn known_text(&self, header: KnownHeader) -> Option<Cow<'_, str>> {
        self.known(header).map(|header| header.text())
    }

    /// The text of the header of that name.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(|header| header.text())
    }

    /// Puts a header in place of the one of that name, or at the end.
    ///
    /// # Errors
    /// `header.invalid` or `timeout.invalid`.
    pub fn set(&mut self, name: impl Into<Box<str>>, text: impl Into<Box<str>>) -> Result<(), ProtocolError> {
        let (name, text) = (name.into(), text.into());
        let place = self.iter().position(|header| header.is_named(&name));
        let entry = Entry::new("", Piece::Own(name), Piece::Own(text), Form::Text);
        if let Some(definition) = entry.definition {
            definition.check(entry.value.of(""))?;
        }
        self.known |= entry.definition.map_or(0, HeaderDefinition::bit);
        match place.and_then(|place| self.entries.get_mut(place)) {
            Some(old) => *old = entry,
            None => self.entries.push(entry),
        }
        Ok(())
    }

    /// Removes the header of that name, in any case.
    pub fn remove(&mut self, name: &str) {
        let text = &self.text;
        self.entries.retain(|entry| !entry.is_named(text, name));
        self.known &= !header_definition(name).map_or(0, HeaderDefinition::bit);
    }

    /// What is accepted from outside: headers that must not come in are removed, lists in comma form become JSON.
    ///
    /// # Errors
    /// `header.invalid` or `timeout.invalid`.
    pub fn from_external<'h>(
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Result<Self, ProtocolError> {
        let accepted = headers.into_iter().filter_map(|(name, value)| {
            let definition = header_definition(name);
            let value = match definition {
                Some(definition) if !definition.is_read_from_outside() => return None,
                Some(definition) if definition.is_label_list() => label_list(value),
                _ => value.to_owned(),
            };
            Some((name.to_owned(), value))
        });
        Self::of_text(accepted)
    }

    /// What is written outside, with texts; built-in labels are left out of `requested-acks`.
    pub fn to_external(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.iter().filter_map(|header| {
            if header.definition().is_some_and(|definition| !definition.is_written_outside()) {
                return None;
            }
            if header.is_named("requested-acks") {
                return external_labels(&self.requested_acks()).map(|labels| (header.name(), labels));
            }
            Some((header.name(), header.text()))
        })
    }

    /// `correlation-id`.
    pub fn correlation_id(&self) -> Option<Header<'_>> {
        self.known(const { KnownHeader::named("correlation-id") })
    }

    /// `content-type`.
    pub fn content_type(&self) -> Option<Cow<'_, str>> {
        self.known_text(const { KnownHeader::named("content-type") })
    }

    /// `response-required`; true if absent.
    pub fn is_response_required(&self) -> bool {
        self.known_text(const { KnownHeader::named("response-required") }).is_none_or(|text| text != "false")
    }

    /// `timeout`, if given.
    pub fn timeout(&self) -> Option<Duration> {
        self.known_text(const { KnownHeader::named("timeout") }).and_then(|text| parse_duration(&text))
    }

    /// The labels of `requested-acks`; empty if absent.
    pub fn requested_acks(&self) -> Vec<String> {
        match self.known_text(const { KnownHeader::named("requested-acks") }) {
            Some(text) if text != "[]" => serde_json::from_str(&text).unwrap_or_default(),
            _ => Vec::new(),
        }
    }
}

/// The list as it is written outside: `None` if only built-in labels were in it; an empty one stays.
pub(crate) fn external_labels(labels: &[String]) -> Option<Cow<'static, str>> {
    if labels.is_empty() {
        return Some(Cow::Borrowed("[]"));
    }
    let external: Vec<&String> =
        labels.iter().filter(|label| !AckLabel::BUILT_IN.contains(&label.as_str())).collect();
    (!external.is_empty()).then(|| serde_json::to_string(&external).unwrap_or_default().into())
}

/// A JSON array as it is; a comma list as JSON array of its trimmed items.
fn label_list(value: &str) -> String {
    if value.trim_start().starts_with('[') {
        return value.to_owned();
    }
    let labels: Vec<&str> =
        if value.is_empty() { Vec::new() } else { value.split(',').map(str::trim).collect() };
    serde_json::to_string(&labels).unwrap_or_default()
}

/// Of headers with one name in any case the first place and the last value stay.
fn deduplicate(text: &str, entries: &mut Vec<Entry>) {
    // A loop within the list beats a map for what messages have; hostile ones get the map.
    const SMALL: usize = 24;
    if entries.len() <= SMALL {
        let mut known = 0;
        let mut has_twin = |(at, entry): (usize, &Entry)| match entry.definition {
            Some(definition) => {
                let is_twin = known & definition.bit() != 0;
                known |= definition.bit();
                is_twin
            }
            None => {
                let name = entry.name.of(text);
                entries
                    .iter()
                    .skip(at + 1)
                    .any(|other| other.definition.is_none() && other.is_named(text, name))
            }
        };
        if !entries.iter().enumerate().any(&mut has_twin) {
            return;
        }
    }
    let mut places: HashMap<String, usize> = HashMap::with_capacity(entries.len());
    let mut kept: Vec<Entry> = Vec::new();
    for entry in entries.drain(..) {
        let place = *places.entry(entry.name.of(text).to_ascii_lowercase()).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(first) => {
                first.value = entry.value;
                first.form = entry.form;
                // Name and value do not stand together any more.
                first.name = Piece::Own(first.name.of(text).into());
            }
            None => kept.push(entry),
        }
    }
    *entries = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_names_counts() {
        let headers =
            Headers::of_text([("Correlation-Id", "a"), ("x", "1"), ("CORRELATION-ID", "b")]).unwrap();
        let texts: Vec<_> = headers.iter().map(|h| (h.name().to_owned(), h.text().into_owned())).collect();
        assert_eq!(texts, [("Correlation-Id".into(), "b".into()), ("x".into(), "1".into())]);
    }

    #[test]
    fn many_headers_cost_linear_time() {
        let many = (0..200_000).map(|n| (format!("h{}", n % 100_000), format!("{n}")));
        let headers = Headers::of_text(many).unwrap();
        assert_eq!(headers.iter().count(), 100_000);
        assert_eq!(headers.text("h99999").as_deref(), Some("199999"));
    }
}
