//! Headers of signals (protocol.md §11).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytestring::ByteString;
use ditto_json::{JsonKind, JsonPointer, RawJson, RawString, decode_string, write_string};
use serde_json::Value;

use crate::definitions::{HeaderDefinition, HeaderKind, KnownHeader, header_definition};
use crate::duration::parse_duration;
use crate::envelope::{RawHeaders, wrong_type};
use crate::error::ProtocolError;
use crate::id::AckLabel;
use crate::piece::Piece;

/// The headers of a signal, in the order of their text.
///
/// Names are found in any case and keep their spelling; of a name that occurs twice, the last one counts.
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
        self.entry.text(self.text)
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

    /// Whether it has this name, in any case.
    pub fn is_named(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name)
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

    /// Appends name and value as they are written outside: the value with the type that its definition gives it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let kind = self.definition().map(HeaderDefinition::kind);
        let is_json = kind.is_some_and(HeaderKind::is_json);
        let has_its_type = match self.entry.form {
            Form::Plain => !is_json,
            Form::Json => is_json,
            Form::Text | Form::Escaped => false,
        };
        // Name and value stand in the message one after the other, so they are copied as one.
        if has_its_type
            && let (Piece::Span { start, .. }, Piece::Span { end, .. }) =
                (&self.entry.name, &self.entry.value)
            && let Some(start) = (*start as usize).checked_sub(1)
            && let Some(both) = self.text.get(start..*end as usize + usize::from(!is_json))
        {
            return out.extend_from_slice(both.as_bytes());
        }
        self.write_name(out);
        out.push(b':');
        let value = self.entry.value.of(self.text);
        if matches!(kind, Some(HeaderKind::Int | HeaderKind::Long)) {
            // `+5` and `05` are integers, but no JSON.
            match self.text().parse::<i64>() {
                Ok(number) => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
                Err(_) => write_string(out, &self.text()),
            }
        } else if is_json {
            out.extend_from_slice(self.text().as_bytes());
        } else if self.entry.form == Form::Escaped {
            out.extend_from_slice(value.as_bytes());
        } else {
            write_string(out, value);
        }
    }
}

impl Entry {
    /// A header of a message whose value is a string.
    pub(crate) fn of_string(name: RawString<'_>, value: RawString<'_>) -> Self {
        match value.plain_place() {
            Some(place) => Self::of_message(name, Piece::at(place), Form::Plain),
            None => Self::of_message(name, Piece::at(value.place()), Form::Escaped),
        }
    }

    /// A header of a message whose value is no string.
    pub(crate) fn of_json(name: RawString<'_>, value: RawJson<'_>) -> Self {
        let is_container = matches!(value.kind(), JsonKind::Object | JsonKind::Array);
        let piece = if value.is_compact() || !is_container {
            Piece::at(value.place())
        } else {
            Piece::Own(compact(value.text()).into())
        };
        Self::of_message(name, piece, Form::Json)
    }

    fn of_message(name: RawString<'_>, value: Piece, form: Form) -> Self {
        let (definition, name) = match (name.plain(), name.plain_place()) {
            (Some(text), Some(place)) => (header_definition(text), Piece::at(place)),
            _ => {
                let text = name.decode().unwrap_or(Cow::Borrowed(name.quoted())).into_owned();
                (header_definition(&text), Piece::Own(text.into()))
            }
        };
        Self { name, value, form, definition }
    }

    /// A header beside a message.
    fn of_text(name: impl Into<Box<str>>, text: impl Into<Box<str>>) -> Self {
        let name = name.into();
        let definition = header_definition(&name);
        Self { name: Piece::Own(name), value: Piece::Own(text.into()), form: Form::Text, definition }
    }

    fn is_named(&self, message: &str, name: &str) -> bool {
        self.name.of(message).eq_ignore_ascii_case(name)
    }

    /// The value as text; `message` is the text that its spans point into.
    fn text<'e>(&'e self, message: &'e str) -> Cow<'e, str> {
        let value = self.value.of(message);
        match self.form {
            Form::Escaped => decode_string(value).unwrap_or(Cow::Borrowed(value)),
            Form::Plain | Form::Text | Form::Json => Cow::Borrowed(value),
        }
    }
}

impl Headers {
    /// Headers of names and texts, checked; of a name that occurs twice, the last one counts. As in the reference,
    /// `correlation-id` is spelled so here, and `put-metadata` gets slashes before its keys.
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
                let mut entry = Entry::of_text(name, value);
                if let Some(definition) = entry.definition.filter(|known| known.name() == "correlation-id") {
                    entry.name = Piece::Own(definition.name().into());
                }
                entry
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

    /// The headers of a JSON object that stands within a value.
    pub(crate) fn of_object(raw: &str) -> Result<Self, ProtocolError> {
        let text = ByteString::from(raw);
        match RawHeaders::of_text(&text)? {
            Some(headers) => Self::of_envelope(&text, headers, true),
            None => Err(wrong_type("headers", "an object", raw)),
        }
    }

    fn checked(text: ByteString, mut entries: Vec<Entry>) -> Result<Self, ProtocolError> {
        deduplicate(&text, &mut entries);
        entries.retain_mut(|entry| normalize(&text, entry));
        let headers = Self::of_entries(text, entries);
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

    fn of_entries(text: ByteString, entries: Vec<Entry>) -> Self {
        let known = entries.iter().filter_map(|entry| entry.definition).fold(0, |known, it| known | it.bit());
        Self { text, entries, known }
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
        let entry = Entry::of_text(name, text);
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

    /// What is accepted from outside: headers that must not come in are removed, lists in comma form become JSON. As in
    /// the reference, values are not checked yet.
    ///
    /// # Errors
    /// None; the result is that of the other ways to make headers.
    pub fn from_external<'h>(
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Result<Self, ProtocolError> {
        let accepted = headers.into_iter().filter_map(|(name, value)| {
            let value = match header_definition(name) {
                Some(definition) if !definition.is_read_from_outside() => return None,
                Some(definition) if definition.is_list() => list(value),
                _ => value.to_owned(),
            };
            Some(Entry::of_text(name, value))
        });
        let mut entries = accepted.collect();
        deduplicate("", &mut entries);
        Ok(Self::of_entries(ByteString::new(), entries))
    }

    /// What is written outside, with texts; built-in labels are left out of `requested-acks`.
    pub fn to_external(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        self.iter().filter_map(|header| {
            if header.definition().is_some_and(|definition| !definition.is_written_outside()) {
                return None;
            }
            if header.is_named("requested-acks") {
                return external_labels(&self.sent_labels()).map(|labels| (header.name(), labels));
            }
            Some((header.name(), header.text()))
        })
    }

    /// Appends all of them as a JSON object, each value with the type that its definition gives it, internal ones too.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (n, header) in self.iter().enumerate() {
            if n > 0 {
                out.push(b',');
            }
            header.write(out);
        }
        out.push(b'}');
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

    /// The labels of `requested-acks`, each once; empty if absent.
    pub fn requested_acks(&self) -> Vec<String> {
        let mut labels = self.sent_labels();
        if labels.len() < 2 {
            return labels;
        }
        let mut known = HashSet::with_capacity(labels.len());
        labels.retain(|label| known.insert(label.clone()));
        labels
    }

    /// The labels of `requested-acks` as they stand there.
    pub(crate) fn sent_labels(&self) -> Vec<String> {
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

/// A JSON array as compact JSON; a comma list as JSON array of its trimmed items, without those that were empty before.
fn list(value: &str) -> String {
    match serde_json::from_str(value) {
        Ok(list @ (Value::Array(_) | Value::Null)) => list.to_string(),
        _ => {
            let labels: Vec<&str> =
                value.split(',').filter(|label| !label.is_empty()).map(str::trim).collect();
            serde_json::to_string(&labels).unwrap_or_default()
        }
    }
}

/// An object or array without the blanks between its parts and without escapes that need not be.
fn compact(raw: &str) -> String {
    serde_json::from_str::<Value>(raw).map_or_else(|_| raw.to_owned(), |value| value.to_string())
}

/// Puts slashes before the keys of `put-metadata`. False for a header on metadata that says nothing.
fn normalize(text: &str, entry: &mut Entry) -> bool {
    const PUT: KnownHeader = KnownHeader::named("put-metadata");
    const GET: KnownHeader = KnownHeader::named("get-metadata");
    const DELETE: KnownHeader = KnownHeader::named("delete-metadata");
    let known = entry.definition.map(HeaderDefinition::known);
    if ![PUT, GET, DELETE].iter().any(|it| Some(*it) == known) {
        return true;
    }
    let value = entry.text(text).into_owned();
    if known != Some(PUT) || value.is_empty() {
        return !value.is_empty();
    }
    let entries = match serde_json::from_str(&value) {
        Ok(Value::Array(entries)) => entries,
        Ok(Value::Null) => return false,
        _ => return true,
    };
    let entries: Vec<Value> = entries.into_iter().filter(Value::is_object).map(with_pointer).collect();
    let says_nothing = entries.is_empty();
    entry.value = Piece::Own(Value::from(entries).to_string().into());
    entry.form = Form::Text;
    !says_nothing
}

fn with_pointer(mut entry: Value) -> Value {
    if let Some(Value::String(key)) = entry.get_mut("key")
        && let Ok(pointer) = key.parse::<JsonPointer>()
    {
        *key = pointer.to_string();
    }
    entry
}

/// Of headers with one name in any case the first place, and the last spelling and value stay.
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
            Some(first) => *first = entry,
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
        assert_eq!(texts, [("correlation-id".into(), "b".into()), ("x".into(), "1".into())]);
        let headers = Headers::of_object(r#"{"x":"1","y":"2","X":"3"}"#).unwrap();
        let texts: Vec<_> = headers.iter().map(|h| (h.name().to_owned(), h.text().into_owned())).collect();
        assert_eq!(texts, [("X".into(), "3".into()), ("y".into(), "2".into())]);
    }

    #[test]
    fn json_values_become_compact_text() {
        let headers =
            Headers::of_object(r#"{"a":[1, "x y"],"b":{ "k" : "\u00e9" },"c":["d"],"n":1.0}"#).unwrap();
        let texts: Vec<_> = headers.iter().map(|h| h.text().into_owned()).collect();
        assert_eq!(texts, [r#"[1,"x y"]"#, r#"{"k":"é"}"#, r#"["d"]"#, "1.0"]);
    }

    #[test]
    fn headers_on_metadata_are_normalized() {
        let headers = Headers::of_text([
            ("put-metadata", r#"[{"key":"*/a","value":1}]"#),
            ("get-metadata", ""),
            ("delete-metadata", "a"),
        ])
        .unwrap();
        let texts: Vec<_> = headers.iter().map(|h| (h.name().to_owned(), h.text().into_owned())).collect();
        let expected = [("put-metadata", r#"[{"key":"/*/a","value":1}]"#), ("delete-metadata", "a")];
        assert_eq!(texts, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
        assert_eq!(Headers::of_text([("put-metadata", "[]")]).unwrap().iter().count(), 0);
    }

    #[test]
    fn lists_from_outside() {
        for (text, list) in [
            (" a:bcd , ,e:fgh ", r#"["a:bcd","","e:fgh"]"#),
            (",", "[]"),
            (",a,", r#"["a"]"#),
            ("", "[]"),
            (r#" [ "a" ] "#, r#"["a"]"#),
            ("[a]", r#"["[a]"]"#),
        ] {
            let headers = Headers::from_external([("requested-acks", text)]).unwrap();
            assert_eq!(headers.text("requested-acks").as_deref(), Some(list), "{text}");
        }
        let headers = Headers::from_external([("timeout", "soon")]).unwrap();
        assert_eq!(headers.text("timeout").as_deref(), Some("soon"), "not checked yet");
    }

    #[test]
    fn integers_are_written_as_json() {
        let headers = Headers::of_text([("entity-revision", "+07"), ("status", "any"), ("x", "1")]).unwrap();
        let written: Vec<_> = headers
            .iter()
            .map(|header| {
                let mut out = Vec::new();
                header.write(&mut out);
                String::from_utf8(out).unwrap()
            })
            .collect();
        assert_eq!(written, [r#""entity-revision":7"#, r#""status":"any""#, r#""x":"1""#]);
    }

    #[test]
    fn labels_count_once() {
        let headers = Headers::of_text([("requested-acks", r#"["c:lbl","c:lbl"]"#)]).unwrap();
        assert_eq!(headers.requested_acks(), ["c:lbl"]);
    }

    #[test]
    fn many_headers_cost_linear_time() {
        let many = (0..200_000).map(|n| (format!("h{}", n % 100_000), format!("{n}")));
        let headers = Headers::of_text(many).unwrap();
        assert_eq!(headers.iter().count(), 100_000);
        assert_eq!(headers.text("h99999").as_deref(), Some("199999"));
    }
}
