//! The table of known headers (protocol.md §11).

use std::borrow::Cow;

use ditto_json::{JsonKind, RawArray, Scanner, decode_string};
use serde_json::Value;

use crate::duration::parse_duration;
use crate::error::{ErrorCode, ProtocolError};
use crate::fields::canonical_fields;
use crate::id::{check_ack_label, shorten};

/// What the protocol says of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderDefinition {
    /// Place in the table.
    index: u8,
    name: &'static str,
    kind: HeaderKind,
    read: bool,
    written: bool,
}

/// The type of a header's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderKind {
    /// Any text.
    Text,
    /// Text that is not empty.
    NonEmpty,
    /// `true` or `false`.
    Bool,
    /// A 32-bit integer.
    Int,
    /// A 64-bit integer.
    Long,
    /// A JSON array of strings.
    Array,
    /// A JSON object.
    Object,
    /// A list of acknowledgement labels: a JSON array of strings.
    Labels,
    /// A duration such as `10s`.
    Duration,
    /// `twin` or `live`.
    Channel,
    /// An entity tag.
    EntityTag,
    /// A list of entity tags, or `*`.
    EntityTags,
    /// An array of `{key, value}` objects.
    Metadata,
    /// JSON pointers between commas.
    Selector,
}

impl HeaderKind {
    /// Whether the value is written as JSON rather than as a string.
    pub fn is_json(self) -> bool {
        matches!(
            self,
            Self::Bool | Self::Int | Self::Long | Self::Array | Self::Object | Self::Labels | Self::Metadata
        )
    }
}

const fn header(name: &'static str, kind: HeaderKind, read: bool, written: bool) -> HeaderDefinition {
    HeaderDefinition { index: 0, name, kind, read, written }
}

use HeaderKind::*;

/// Sorted by length, then name.
static DEFINITIONS: [HeaderDefinition; 64] = numbered([
    header("etag", EntityTag, false, true),
    header("accept", Text, true, false),
    header("status", Int, true, true),
    header("channel", Channel, true, true),
    header("dry-run", Bool, true, true),
    header("timeout", Duration, true, true),
    header("if-equal", Text, true, false),
    header("if-match", EntityTags, true, false),
    header("location", Text, true, true),
    header("reply-to", Text, true, true),
    header("condition", Text, true, false),
    header("timestamp", Text, true, true),
    header("ditto-sudo", Bool, false, false),
    header("tracestate", Text, true, true),
    header("policy-view", Text, true, false),
    header("traceparent", Text, true, true),
    header("content-type", Text, true, true),
    header("ditto-origin", Text, false, false),
    header("get-metadata", Selector, true, false),
    header("put-metadata", Metadata, true, false),
    header("authorization", Text, true, false),
    header("declared-acks", Labels, true, false),
    header("ditto-dry-run", Bool, false, false),
    header("if-none-match", EntityTags, true, false),
    header("correlation-id", NonEmpty, true, true),
    header("ditto-metadata", Object, false, true),
    header("ditto-weak-ack", Bool, false, true),
    header("requested-acks", Labels, true, true),
    header("delete-metadata", Selector, true, false),
    header("ditto-entity-id", Text, false, false),
    header("entity-revision", Long, false, true),
    header("ditto-originator", Text, false, true),
    header("www-authenticate", Text, false, true),
    header("response-required", Bool, true, true),
    header("ditto-auth-context", Object, false, false),
    header("ditto-reply-target", Int, false, false),
    header("historical-headers", Object, false, true),
    header("ditto-connection-id", Text, false, true),
    header("ditto-read-subjects", Array, false, false),
    header("allow-policy-lockout", Bool, true, false),
    header("ditto-message-subject", Text, false, true),
    header("at-historical-revision", Long, true, false),
    header("ditto-message-thing-id", Text, false, true),
    header("ditto-retrieve-deleted", Bool, false, false),
    header("live-channel-condition", Text, true, false),
    header("at-historical-timestamp", Text, true, false),
    header("ditto-message-direction", Text, false, true),
    header("ditto-event-journal-tags", Array, false, false),
    header("ditto-message-feature-id", Text, false, true),
    header("ditto-ackgregator-address", NonEmpty, false, false),
    header("ditto-partial-access-paths", Object, false, false),
    header("ditto-read-revoked-subjects", Array, false, false),
    header("ditto-inbound-payload-mapper", Text, false, false),
    header("merge-thing-patch-conditions", Object, true, false),
    header("ditto-expected-response-types", Array, false, false),
    header("divert-response-to-connection", NonEmpty, true, false),
    header("live-channel-timeout-strategy", Text, true, false),
    header("ditto-pre-defined-extra-fields", Array, false, false),
    header("divert-expected-response-types", NonEmpty, true, false),
    header("live-channel-condition-matched", Bool, false, true),
    header("ditto-policy-view-fields-selector", Text, false, false),
    header("diverted-response-from-connection", NonEmpty, true, true),
    header("ditto-pre-defined-extra-fields-object", Object, false, false),
    header("ditto-pre-defined-extra-fields-read-grant", Object, false, false),
]);

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler: out of bounds is a compile error")]
const fn numbered(mut definitions: [HeaderDefinition; 64]) -> [HeaderDefinition; 64] {
    let mut index = 0;
    while index < definitions.len() {
        definitions[index].index = index as u8;
        index += 1;
    }
    definitions
}

/// Place of the one definition whose name can be in a slot; [`NONE`] for a slot that no name is in.
static SLOTS: [u8; 256] = slots();

const NONE: u8 = u8::MAX;

/// A slot of its own for each known name, in any case: its length and two of its letters, by factors that were searched
/// for. A name that is added and shares a slot is refused by the compiler; then other factors are needed.
#[expect(clippy::indexing_slicing, reason = "a name is not empty, and two thirds of it are within it")]
const fn slot(name: &[u8]) -> u8 {
    // Makes upper case letters lower case, and leaves lower case letters and hyphens alone.
    const LOWER: u8 = 0x20;
    let (first, inner) = (name[0] | LOWER, name[name.len() * 2 / 3] | LOWER);
    (name.len() as u8)
        .wrapping_mul(203)
        .wrapping_add(first.wrapping_mul(87))
        .wrapping_add(inner.wrapping_mul(16))
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler: out of bounds is a compile error")]
const fn slots() -> [u8; 256] {
    let mut slots = [NONE; 256];
    let mut index = 0;
    while index < DEFINITIONS.len() {
        let slot = slot(DEFINITIONS[index].name.as_bytes()) as usize;
        assert!(slots[slot] == NONE, "two names share a slot");
        slots[slot] = index as u8;
        index += 1;
    }
    slots
}

/// The definition of a header by its name, in any case.
pub fn header_definition(name: &str) -> Option<&'static HeaderDefinition> {
    if name.is_empty() {
        return None;
    }
    let place = *SLOTS.get(usize::from(slot(name.as_bytes())))?;
    let definition = DEFINITIONS.get(usize::from(place))?;
    // Nearly always in lower case.
    (definition.name == name || definition.name.eq_ignore_ascii_case(name)).then_some(definition)
}

/// A known header, looked up by the compiler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownHeader(u8);

impl KnownHeader {
    /// The header of this name, in lower case.
    ///
    /// # Panics
    /// There is none. Use it in a constant: then the compiler says so.
    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated by the compiler: out of bounds is a compile error"
    )]
    #[must_use]
    pub const fn named(name: &'static str) -> Self {
        let place = SLOTS[slot(name.as_bytes()) as usize];
        let (name, known) = (name.as_bytes(), DEFINITIONS[place as usize].name.as_bytes());
        assert!(name.len() == known.len(), "no known header has this name");
        let mut at = 0;
        while at < name.len() {
            assert!(name[at] == known[at], "no known header has this name");
            at += 1;
        }
        Self(place)
    }

    pub(crate) fn name(self) -> &'static str {
        DEFINITIONS.get(usize::from(self.0)).map_or("", |definition| definition.name)
    }

    /// A bit of its own among the known headers.
    pub(crate) fn bit(self) -> u64 {
        1 << self.0
    }
}

impl HeaderDefinition {
    /// The name in lower case.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The type of the value.
    pub fn kind(&self) -> HeaderKind {
        self.kind
    }

    /// Whether it is accepted from outside.
    pub fn is_read_from_outside(&self) -> bool {
        self.read
    }

    /// Whether it is written outside.
    pub fn is_written_outside(&self) -> bool {
        self.written
    }

    /// Whether it never crosses Ditto's border in either direction.
    pub fn is_internal(&self) -> bool {
        !self.read && !self.written
    }

    pub(crate) fn known(&self) -> KnownHeader {
        KnownHeader(self.index)
    }

    /// A bit of its own among the known headers.
    pub(crate) fn bit(&self) -> u64 {
        self.known().bit()
    }

    /// Whether commas may stand for a JSON array outside.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.kind, Labels | Metadata)
    }

    /// Checks a value that stands in a message as JSON and is well formed.
    pub(crate) fn check_json(&self, json: &str) -> Result<(), ProtocolError> {
        let is_right = match self.kind {
            _ if json == "[]" => matches!(self.kind, Array | Labels),
            // An escape may be half a surrogate pair, which is no text: a look at the whole.
            Array => {
                json.starts_with('[')
                    && !json.contains('\\')
                    && RawArray::new(json).all(|element| element.starts_with('"'))
            }
            Object => json.starts_with('{'),
            Bool => matches!(json, "true" | "false"),
            _ => false,
        };
        if is_right { Ok(()) } else { self.check(json) }
    }

    /// Checks a value of this header.
    ///
    /// # Errors
    /// `timeout.invalid` for the time-out, else `header.invalid`.
    pub fn check(&self, text: &str) -> Result<(), ProtocolError> {
        let expected = match self.kind {
            Text => return Ok(()),
            NonEmpty if !text.is_empty() => return Ok(()),
            NonEmpty => "a text that is not empty",
            Bool if matches!(text, "true" | "false") => return Ok(()),
            Bool => "true or false",
            // Only that of a message is looked at.
            Int if self.name == "status" => return Ok(()),
            Int if text.parse::<i32>().is_ok() => return Ok(()),
            Int => "an integer",
            Long if text.parse::<i64>().is_ok() => return Ok(()),
            Long => "an integer",
            Labels if self.name == "requested-acks" && are_labels(text) => return Ok(()),
            Labels if self.name == "requested-acks" => "a json array of acknowledgement labels",
            Array | Labels if is_text_array(text) => return Ok(()),
            Array | Labels => "a json array of strings",
            Object if text == "null" || is_object(text) => return Ok(()),
            Object => "a json object",
            Duration if parse_duration(text).is_some() => return Ok(()),
            Duration => {
                return Err(ProtocolError::new(
                    ErrorCode::TIMEOUT_INVALID,
                    format!(
                        "header `{}` is no duration such as 10s or 500ms: `{}`",
                        self.name,
                        shorten(text)
                    ),
                ));
            }
            Channel if ["twin", "live"].iter().any(|c| text.trim().eq_ignore_ascii_case(c)) => return Ok(()),
            Channel => "twin or live",
            EntityTag if is_entity_tag(text) => return Ok(()),
            EntityTag => "an entity tag such as \"rev:3\"",
            EntityTags if text == "*" || are_entity_tags(text) => return Ok(()),
            EntityTags => "a list of entity tags, or *",
            Metadata if is_metadata(text) => return Ok(()),
            Metadata => "a json array of objects with key and value",
            Selector => return canonical_fields(text).map(drop),
        };
        Err(ProtocolError::new(
            ErrorCode::HEADER_INVALID,
            format!("header `{}` is not {expected}: `{}`", self.name, shorten(text)),
        ))
    }
}

fn is_text_array(text: &str) -> bool {
    text_array(text).is_some()
}

fn are_labels(text: &str) -> bool {
    text_array(text).is_some_and(|labels| labels.iter().all(|label| check_ack_label(label).is_ok()))
}

/// The strings of an array; null has none.
fn text_array(text: &str) -> Option<Vec<Cow<'_, str>>> {
    if text.trim_ascii() == "null" {
        return Some(Vec::new());
    }
    let mut scanner = Scanner::new(text, 1);
    if scanner.value().ok()?.kind() != JsonKind::Array || scanner.end().is_err() {
        return None;
    }
    RawArray::new(text).map(decode_string).collect()
}

fn is_object(text: &str) -> bool {
    let mut scanner = Scanner::new(text, usize::MAX);
    JsonKind::of(text) == JsonKind::Object && scanner.value().and_then(|_| scanner.end()).is_ok()
}

fn is_entity_tag(text: &str) -> bool {
    text.strip_prefix("W/")
        .unwrap_or(text)
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .is_some_and(|opaque| !opaque.contains('"'))
}

/// Blanks are allowed around the commas only.
fn are_entity_tags(text: &str) -> bool {
    let mut tags = text.split(',').enumerate().peekable();
    while let Some((at, tag)) = tags.next() {
        let tag = if at > 0 { tag.trim_start() } else { tag };
        if !is_entity_tag(if tags.peek().is_some() { tag.trim_end() } else { tag }) {
            return false;
        }
    }
    true
}

/// What is neither an object nor null does not count.
fn is_metadata(text: &str) -> bool {
    let entries = match serde_json::from_str(text) {
        Ok(Value::Array(entries)) => entries,
        Ok(Value::Null) => Vec::new(),
        _ => return text.is_empty(),
    };
    entries
        .iter()
        .filter(|entry| entry.is_object())
        .all(|entry| entry.get("key").is_some_and(Value::is_string) && entry.get("value").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, expected: Result<(), &str>) {
        let checked = header_definition(name).unwrap().check(text).map_err(|error| error.code().name());
        assert_eq!(checked, expected, "{name}: {text}");
    }

    #[test]
    fn lists_of_labels_tags_and_pointers() {
        check("requested-acks", r#"["c:lbl","{{connection:id}}:lbl"]"#, Ok(()));
        check("requested-acks", r#"["ab"]"#, Err("header.invalid"));
        check("declared-acks", r#"["ab"]"#, Ok(()));
        check("ditto-read-subjects", "null", Ok(()));
        check("if-match", "\"a\" , W/\"b\"", Ok(()));
        check("if-match", "\"a\" ", Err("header.invalid"));
        check("get-metadata", "a,b/c", Ok(()));
        check("get-metadata", "a//b", Err("json.pointer.invalid"));
        check("put-metadata", r#"[5,{"key":"a","value":1}]"#, Ok(()));
        check("put-metadata", r#"[{"key":"a"}]"#, Err("header.invalid"));
        check("status", "any", Ok(()));
        check("ditto-reply-target", "any", Err("header.invalid"));
    }

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        assert!(DEFINITIONS.is_sorted_by_key(|definition| definition.name.len()));
        for definition in DEFINITIONS.iter() {
            assert_eq!(header_definition(&definition.name.to_uppercase()), Some(definition));
        }
        for unknown in ["", "version", "x", "ditto-read-subjectz"] {
            assert_eq!(header_definition(unknown), None);
        }
        const ORIGIN: KnownHeader = KnownHeader::named("ditto-origin");
        assert_eq!(header_definition("Ditto-Origin").map(HeaderDefinition::known), Some(ORIGIN));
    }
}
