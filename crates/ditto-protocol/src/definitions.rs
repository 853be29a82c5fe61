//! The table of known headers (protocol.md §11).

use ditto_json::JsonKind;
use serde_json::Value;

use crate::duration::parse_duration;
use crate::error::{ErrorCode, ProtocolError};
use crate::fields::canonical_fields;
use crate::id::{check_ack_label, shorten};

/// What the protocol says of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderDefinition {
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
    HeaderDefinition { name, kind, read, written }
}

use HeaderKind::*;

/// Sorted by length, then name, so that most names are decided by their length.
static DEFINITIONS: [HeaderDefinition; 64] = [
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
];

/// Longest known name, plus two: the table of [`starts`] has an end for each length.
const LENGTHS: usize = 43;

/// Where the names of each length start in [`DEFINITIONS`].
static STARTS: [usize; LENGTHS] = starts();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler: out of bounds is a compile error")]
const fn starts() -> [usize; LENGTHS] {
    let mut starts = [0; LENGTHS];
    let mut length = 0;
    while length < LENGTHS {
        while starts[length] < DEFINITIONS.len() && DEFINITIONS[starts[length]].name.len() < length {
            starts[length] += 1;
        }
        length += 1;
    }
    starts
}

/// The definition of a header by its name, in any case.
pub fn header_definition(name: &str) -> Option<&'static HeaderDefinition> {
    let (start, end) = (*STARTS.get(name.len())?, *STARTS.get(name.len() + 1)?);
    DEFINITIONS.get(start..end)?.iter().find(|definition| definition.name.eq_ignore_ascii_case(name))
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

    /// Whether commas may stand for a JSON array outside.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.kind, Labels | Metadata)
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
    text_array(text)
        .is_some_and(|labels| labels.iter().all(|BorrowedText(label)| check_ack_label(label).is_ok()))
}

/// The strings of an array; null has none.
fn text_array(text: &str) -> Option<Vec<BorrowedText<'_>>> {
    // The usual case without a parser.
    if matches!(text, "[]" | "null") { Some(Vec::new()) } else { serde_json::from_str(text).ok() }
}

/// A JSON string that is looked at only.
#[derive(serde::Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

fn is_object(text: &str) -> bool {
    JsonKind::of(text) == JsonKind::Object
        && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
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
        assert_eq!(header_definition("version"), None);
    }
}
