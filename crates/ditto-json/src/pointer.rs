//! JSON pointers as Ditto reads them (protocol.md §10).

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

/// A path of member names. Array elements are not addressable.
///
/// A leading slash is optional, a trailing one is dropped, `~0` stands for `~`; `~1` stays as it is, since member names
/// of a twin never contain `/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct JsonPointer {
    segments: Vec<String>,
}

/// Why a text is no JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid json pointer `{text}` at byte {at}: two slashes in a row; remove one")]
pub struct PointerError {
    text: String,
    at: usize,
}

impl PointerError {
    /// Byte offset of the mistake.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The reference's error code.
    pub fn code(&self) -> &'static str {
        "json.pointer.invalid"
    }
}

impl JsonPointer {
    /// The pointer to the whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// A pointer made of member names as they are.
    pub fn of<S: Into<String>>(segments: impl IntoIterator<Item = S>) -> Self {
        Self { segments: segments.into_iter().map(Into::into).collect() }
    }

    /// Decoded member names from the root.
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether it points to the whole document.
    pub fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether `prefix` is this pointer or one of its ancestors.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.segments.starts_with(&prefix.segments)
    }

    /// The pointer below this one.
    pub fn join(&self, below: &Self) -> Self {
        Self { segments: self.segments.iter().chain(&below.segments).cloned().collect() }
    }

    /// The value it points to.
    pub fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.segments.iter().try_fold(value, |at, segment| at.as_object()?.get(segment))
    }

    /// Puts `value` at this pointer and makes the objects on the way; what is no object there is replaced.
    pub fn set(&self, document: &mut Value, value: Value) {
        let mut at = document;
        for segment in &self.segments {
            if !at.is_object() {
                *at = Value::Object(serde_json::Map::new());
            }
            let Value::Object(members) = at else { return };
            at = members.entry(segment.as_str()).or_insert(Value::Null);
        }
        *at = value;
    }
}

impl FromStr for JsonPointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        if let Some(at) = text.find("//") {
            return Err(PointerError { text: text.to_owned(), at });
        }
        let inner = text.strip_prefix('/').unwrap_or(text);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() {
            return Ok(Self::root());
        }
        Ok(Self::of(inner.split('/').map(|segment| segment.replace("~0", "~"))))
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            return f.write_str("/");
        }
        for segment in &self.segments {
            write!(f, "/{}", segment.replace('~', "~0"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn escapes_and_slashes() {
        for (text, canonical) in [
            ("", "/"),
            ("a/", "/a"),
            ("~1", "/~01"),
            ("/a~0b", "/a~0b"),
            ("a%2Fb", "/a%2Fb"),
            ("/a/b", "/a/b"),
        ] {
            assert_eq!(
                text.parse::<JsonPointer>().map(|p| p.to_string()).as_deref(),
                Ok(canonical),
                "{text}"
            );
        }
        assert_eq!("/a//b".parse::<JsonPointer>().map_err(|e| e.at()), Err(2));
    }

    #[test]
    fn sets_through_missing_objects() {
        let mut document = json!({"a": 1});
        JsonPointer::of(["a", "b"]).set(&mut document, json!(2));
        JsonPointer::of(["c"]).set(&mut document, json!(3));
        assert_eq!(document, json!({"a": {"b": 2}, "c": 3}));
    }

    proptest! {
        #[test]
        fn canonical_form_parses_back(text in "\\PC*") {
            if let Ok(pointer) = text.parse::<JsonPointer>() {
                prop_assert_eq!(pointer.to_string().parse::<JsonPointer>(), Ok(pointer));
            }
        }
    }
}
