//! Identifiers (protocol.md §12).

use std::fmt;
use std::str::FromStr;

use ditto_json::JsonPointer;

use crate::error::{ErrorCode, ProtocolError};
use crate::topic::TopicPath;

/// Longest id of a thing or policy, longest feature id and member name, in UTF-16 units.
const MAX_LENGTH: usize = 256;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $validate:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The text of the identifier.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ProtocolError;

            fn from_str(text: &str) -> Result<Self, ProtocolError> {
                let validate: fn(&str) -> Result<(), ProtocolError> = $validate;
                validate(text).map(|()| Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// Id of a thing: `namespace:name`.
    ThingId,
    |text| namespaced(text, ErrorCode::THING_ID_INVALID).map(drop)
);
id!(
    /// Id of a policy: `namespace:name`.
    PolicyId,
    |text| namespaced(text, ErrorCode::POLICY_ID_INVALID).map(drop)
);
id!(
    /// Id of a connection.
    ConnectionId,
    connection_id
);
id!(
    /// Id of a feature.
    FeatureId,
    |text| check_key(text)
);
id!(
    /// Label of an acknowledgement; may start with one `{{ placeholder }}:` that a definition resolves.
    AckLabel,
    check_ack_label
);
id!(
    /// Label of a policy entry.
    PolicyLabel,
    policy_label
);
id!(
    /// Identifier of a thing's or a feature's definition: `namespace:name:version` or an http(s) URL.
    DefinitionId,
    definition
);
id!(
    /// Subject of a message.
    MessageSubject,
    message_subject
);

impl ThingId {
    /// The part before the first colon.
    pub fn namespace(&self) -> &str {
        self.0.split_once(':').map_or("", |(namespace, _)| namespace)
    }

    /// The part after the first colon.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, name)| name)
    }
}

impl PolicyId {
    /// The part before the first colon.
    pub fn namespace(&self) -> &str {
        self.0.split_once(':').map_or("", |(namespace, _)| namespace)
    }

    /// The part after the first colon.
    pub fn name(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, name)| name)
    }
}

impl AckLabel {
    /// Whether no placeholder is left in it.
    pub fn is_resolved(&self) -> bool {
        !self.0.starts_with("{{")
    }

    /// The labels that Ditto itself acknowledges; they never leave it (protocol.md §11).
    pub const BUILT_IN: [&'static str; 3] = ["twin-persisted", "live-response", "search-persisted"];
}

/// Id of a subject: `issuer:subject`, or a text with a placeholder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubjectId {
    text: String,
    issuer: usize,
}

impl SubjectId {
    /// The text of the identifier.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Who vouches for the subject; empty where a placeholder stands for the whole.
    pub fn issuer(&self) -> &str {
        self.text.get(..self.issuer).unwrap_or_default()
    }

    /// The subject without its issuer.
    pub fn subject(&self) -> &str {
        let rest = self.text.get(self.issuer..).unwrap_or_default();
        if self.issuer == 0 { rest } else { rest.strip_prefix(':').unwrap_or(rest) }
    }
}

impl FromStr for SubjectId {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        let invalid = |why: &str| {
            ProtocolError::new(
                ErrorCode::SUBJECT_ID_INVALID,
                format!("invalid subject id `{}`: {why}", shorten(text)),
            )
        };
        if text.is_empty() || has_forbidden(text) {
            return Err(invalid("it is empty or has a control character or one of U+007F to U+00FF"));
        }
        // The colon counts where there is no issuer, too.
        let whole_is_subject = has_placeholder(text);
        if is_too_long(text) || whole_is_subject && text.encode_utf16().count() == MAX_LENGTH {
            return Err(invalid("it is longer than 256 characters"));
        }
        if whole_is_subject {
            return Ok(Self { text: text.to_owned(), issuer: 0 });
        }
        // Where a scheme stands, the issuer ends at the first colon after it (policies.md §1).
        let from = text.find("://").map_or(0, |at| at + 3);
        let issuer = text
            .get(from..)
            .and_then(|rest| rest.find(':'))
            .map(|at| from + at)
            .ok_or_else(|| invalid("no colon between issuer and subject"))?;
        if issuer + 1 == text.len() {
            return Err(invalid("nothing follows the issuer"));
        }
        if issuer == 0 {
            return Ok(Self { text: text.strip_prefix(':').unwrap_or(text).to_owned(), issuer: 0 });
        }
        Ok(Self { text: text.to_owned(), issuer })
    }
}

/// Key of a policy's resource: `type:/path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResourceKey {
    kind: String,
    path: JsonPointer,
}

impl ResourceKey {
    /// `thing`, `policy`, `message` or another type.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The path below the entity.
    pub fn path(&self) -> &JsonPointer {
        &self.path
    }
}

impl FromStr for ResourceKey {
    type Err = ProtocolError;

    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        let (kind, path) = text.split_once(':').filter(|(kind, _)| !kind.is_empty()).ok_or_else(|| {
            ProtocolError::new(
                ErrorCode::JSON_INVALID,
                format!("resource key `{}` is not of the form type:/path", shorten(text)),
            )
        })?;
        if has_forbidden(text) {
            return Err(ProtocolError::new(
                ErrorCode::POLICY_ENTRY_INVALID,
                format!(
                    "resource key `{}` has a control character or one of U+007F to U+00FF",
                    shorten(text)
                ),
            ));
        }
        let path = path
            .parse()
            .map_err(|error| ProtocolError::new(ErrorCode::JSON_POINTER_INVALID, format!("{error}")))?;
        Ok(Self { kind: kind.to_owned(), path })
    }
}

/// Checks an id `namespace:name` and returns its parts.
pub(crate) fn namespaced(text: &str, code: ErrorCode) -> Result<(&str, &str), ProtocolError> {
    let invalid = |why| ProtocolError::new(code, format!("invalid id `{}`: {why}", shorten(text)));
    let (namespace, name) = text.split_once(':').ok_or_else(|| invalid("no colon after the namespace"))?;
    check_parts(namespace, name).map_err(invalid)?;
    Ok((namespace, name))
}

fn check_parts(namespace: &str, name: &str) -> Result<(), &'static str> {
    if !is_namespace(namespace) {
        return Err("the namespace is not made of words that start with a letter, joined by `.` or `-`");
    }
    if name.is_empty() || has_forbidden_or_slash(name) {
        return Err("the name is empty, has a slash, a control character or one of U+007F to U+00FF");
    }
    if namespace.len() + name.len() >= MAX_LENGTH
        && namespace.len() + 1 + name.encode_utf16().count() > MAX_LENGTH
    {
        return Err("it is longer than 256 characters");
    }
    Ok(())
}

/// Whether a text has a character that no identifier has: a control character or one of the upper half of Latin-1.
fn has_forbidden(text: &str) -> bool {
    text.bytes().any(is_forbidden)
}

/// Every forbidden character is a control byte, DEL, or starts with 0xC2 or 0xC3 in UTF-8.
fn is_forbidden(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, 0x7f | 0xc2 | 0xc3)
}

fn has_forbidden_or_slash(text: &str) -> bool {
    text.bytes().any(|byte| byte == b'/' || is_forbidden(byte))
}

/// Checks the id of the thing that a topic names.
pub(crate) fn check_thing_id(topic: &TopicPath<'_>) -> Result<(), ProtocolError> {
    check_topic_id(topic, ErrorCode::THING_ID_INVALID)
}

/// Checks the id of the thing or policy that a topic names.
pub(crate) fn check_topic_id(topic: &TopicPath<'_>, code: ErrorCode) -> Result<(), ProtocolError> {
    check_parts(topic.namespace, topic.name).map_err(|why| {
        ProtocolError::new(
            code,
            format!("invalid id `{}:{}`: {why}", shorten(topic.namespace), shorten(topic.name)),
        )
    })
}

fn is_too_long(text: &str) -> bool {
    text.len() > MAX_LENGTH && text.encode_utf16().count() > MAX_LENGTH
}

fn has_placeholder(text: &str) -> bool {
    [("{{", "}}"), ("${", "}")]
        .iter()
        .any(|(open, close)| text.split_once(open).is_some_and(|(_, rest)| rest.contains(close)))
}

/// Words joined by `.` or `-`, or nothing.
fn is_namespace(text: &str) -> bool {
    let mut starts_word = true;
    let is_in_place = |byte: u8| {
        let is_separator = matches!(byte, b'.' | b'-');
        match std::mem::replace(&mut starts_word, is_separator) {
            true => byte.is_ascii_alphabetic(),
            false => is_separator || byte.is_ascii_alphanumeric() || byte == b'_',
        }
    };
    text.is_empty() || text.bytes().all(is_in_place) && !starts_word
}

/// Checks a feature id or the name of an attribute or property.
pub(crate) fn check_key(text: &str) -> Result<(), ProtocolError> {
    let why = if text.is_empty() {
        "it is empty"
    } else if has_forbidden_or_slash(text) {
        "it has a slash, a control character or one of U+007F to U+00FF"
    } else if is_too_long(text) {
        "it is longer than 256 characters"
    } else {
        return Ok(());
    };
    Err(ProtocolError::new(ErrorCode::JSON_KEY_INVALID, format!("invalid key `{}`: {why}", shorten(text))))
}

/// The pointer of an attribute, checked.
///
/// # Errors
/// No segment, an empty one, or one that is no key.
pub fn attribute_pointer(text: &str) -> Result<JsonPointer, ProtocolError> {
    let pointer: JsonPointer = text
        .parse()
        .map_err(|error| ProtocolError::new(ErrorCode::JSON_POINTER_INVALID, format!("{error}")))?;
    if pointer.is_root() {
        return Err(ProtocolError::new(
            ErrorCode::ATTRIBUTE_POINTER_INVALID,
            "the pointer of an attribute is empty",
        ));
    }
    pointer.segments().iter().try_for_each(|segment| check_key(segment))?;
    Ok(pointer)
}

fn connection_id(text: &str) -> Result<(), ProtocolError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
    if (1..=100).contains(&text.len()) && text.bytes().all(legal) {
        return Ok(());
    }
    Err(ProtocolError::new(
        ErrorCode::CONNECTION_ID_INVALID,
        format!("invalid connection id `{}`: 1 to 100 of A-Z a-z 0-9 - _ : are allowed", shorten(text)),
    ))
}

/// Checks the label of an acknowledgement.
pub(crate) fn check_ack_label(text: &str) -> Result<(), ProtocolError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':');
    let rest = text
        .strip_prefix("{{")
        .and_then(|rest| rest.split_once("}}:"))
        .filter(|(placeholder, _)| {
            placeholder.trim().split_once(':').is_some_and(|(prefix, name)| {
                [prefix, name].iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase()))
            })
        })
        .map_or(text, |(_, rest)| rest);
    if (3..=165).contains(&rest.len()) && rest.bytes().all(legal) {
        return Ok(());
    }
    Err(ProtocolError::new(
        ErrorCode::ACK_LABEL_INVALID,
        format!(
            "invalid acknowledgement label `{}`: 3 to 165 of A-Z a-z 0-9 - _ : are allowed",
            shorten(text)
        ),
    ))
}

fn policy_label(text: &str) -> Result<(), ProtocolError> {
    if text.starts_with("imported") || text.starts_with("nsimported") {
        return Err(ProtocolError::new(
            ErrorCode::POLICY_LABEL_INVALID,
            format!("policy label `{}` starts with a prefix of imported entries", shorten(text)),
        ));
    }
    if text.is_empty() || has_forbidden_or_slash(text) || is_too_long(text) {
        return Err(ProtocolError::new(
            ErrorCode::POLICY_ENTRY_INVALID,
            format!(
                "invalid policy label `{}`: it is empty, longer than 256 characters, has a slash, a control character or one of U+007F to U+00FF",
                shorten(text)
            ),
        ));
    }
    Ok(())
}

fn message_subject(text: &str) -> Result<(), ProtocolError> {
    if text.is_empty() || has_forbidden(text) || is_too_long(text) {
        return Err(ProtocolError::new(
            ErrorCode::HEADER_INVALID,
            format!(
                "invalid message subject `{}`: it is empty, longer than 256 characters, has a control character or one of U+007F to U+00FF",
                shorten(text)
            ),
        ));
    }
    Ok(())
}

fn definition(text: &str) -> Result<(), ProtocolError> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let mut parts = text.split(':');
    let triple = parts.clone().count() == 3 && parts.all(|part| !part.is_empty() && part.bytes().all(legal));
    let url = text.split_once("://").is_some_and(|(scheme, rest)| {
        ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http))
            && !rest.is_empty()
            && !rest.starts_with(['/', '?', '#'])
    });
    if triple || url {
        return Ok(());
    }
    Err(ProtocolError::new(
        ErrorCode::DEFINITION_INVALID,
        format!("definition `{}` is neither namespace:name:version nor an http(s) URL", shorten(text)),
    ))
}

/// The beginning of a text for an error message.
pub(crate) fn shorten(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).escape_debug().to_string(),
        None => text.escape_debug().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_of_things() {
        for (text, valid) in [
            ("a:b", true),
            (":b", true),
            ("a.b-c_d:x y", true),
            ("a:日本", true),
            ("a:Köln", false),
            ("a:b/c", false),
            ("ab", false),
            ("a..b:c", false),
            ("a:", false),
        ] {
            assert_eq!(text.parse::<ThingId>().is_ok(), valid, "{text}");
        }
        assert!(format!("a:{}", "n".repeat(254)).parse::<ThingId>().is_ok());
        assert!(format!("a:{}", "n".repeat(255)).parse::<ThingId>().is_err());
        assert!(format!("a:{}", "日".repeat(254)).parse::<ThingId>().is_ok());
    }

    #[test]
    fn subjects_with_scheme_and_port() {
        let id: SubjectId = "https://issuer:8080/x:sub".parse().unwrap();
        assert_eq!((id.issuer(), id.subject()), ("https://issuer", "8080/x:sub"));
        assert!("x:".parse::<SubjectId>().is_err());
        assert_eq!(":x".parse::<SubjectId>().map(|id| id.as_str().to_owned()), Ok("x".to_owned()));
        assert_eq!("::x".parse::<SubjectId>().map(|id| id.as_str().to_owned()), Ok(":x".to_owned()));
        let id: SubjectId = "a:{{b".parse().unwrap();
        assert_eq!((id.issuer(), id.subject()), ("a", "{{b"), "nothing closes the placeholder");
        assert!(format!("a:{}", "s".repeat(254)).parse::<SubjectId>().is_ok());
        assert!(format!("a:{}", "s".repeat(255)).parse::<SubjectId>().is_err());
    }

    #[test]
    fn labels_of_imported_entries_are_reserved() {
        for text in ["imported", "imported-x", "importedx", "nsimported", "nsimported-x"] {
            let code = text.parse::<PolicyLabel>().map_err(|error| error.code());
            assert_eq!(code, Err(ErrorCode::POLICY_LABEL_INVALID), "{text}");
        }
        assert!("Imported-x".parse::<PolicyLabel>().is_ok());
        assert_eq!(
            "l".repeat(257).parse::<PolicyLabel>().map_err(|e| e.code()),
            Err(ErrorCode::POLICY_ENTRY_INVALID)
        );
    }

    #[test]
    fn definitions_are_triples_or_links() {
        for (text, valid) in [
            ("HTTPS://x.y/z", true),
            ("https://x.y/a b", true),
            ("http:///z", false),
            ("https://", false),
            ("ns:name:1", true),
            ("ns:name", false),
        ] {
            assert_eq!(text.parse::<DefinitionId>().is_ok(), valid, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC*|[\u{0}-\u{ff}]*") {
            let _ = text.parse::<ThingId>();
            let _ = text.parse::<AckLabel>();
            let _ = text.parse::<SubjectId>();
            let _ = text.parse::<ResourceKey>();
            let _ = text.parse::<DefinitionId>();
            let _ = attribute_pointer(&text);
        }

        #[test]
        fn the_byte_test_finds_the_same_characters(text in "\\PC*|[\u{0}-\u{17f}]*") {
            let forbidden = |c| matches!(c, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{ff}');
            prop_assert_eq!(has_forbidden(&text), text.chars().any(forbidden));
        }
    }
}
