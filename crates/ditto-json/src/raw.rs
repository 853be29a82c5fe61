//! JSON text that is looked at without building values.

use std::borrow::Cow;

use crate::words::{self, Word};

/// What kind of value a JSON text holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of JSON say it")]
pub enum JsonKind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl JsonKind {
    /// The kind of a well formed value, by its first character. Blank text counts as null.
    pub fn of(text: &str) -> Self {
        match text.trim_ascii_start().bytes().next() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Bool,
            Some(b'n') | None => Self::Null,
            Some(_) => Self::Number,
        }
    }
}

/// The members of a well formed JSON object: decoded names and raw values, in the order of the text. A name that is no text
/// (half a surrogate pair) is handed out as it stands, with its quotes.
///
/// On text that is not well formed it ends early; it never fails and never looks outside of the text.
#[derive(Debug, Clone)]
pub struct RawObject<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> RawObject<'t> {
    /// The members of `text`; none if it holds no object.
    pub fn new(text: &'t str) -> Self {
        let open = text.len() - text.trim_ascii_start().len();
        let at = if text.as_bytes().get(open) == Some(&b'{') { open + 1 } else { text.len() };
        Self { text, at }
    }

    /// The value of the last member of that name: the one that counts.
    pub fn member(self, name: &str) -> Option<&'t str> {
        self.filter(|(own, _)| own == name).last().map(|(_, value)| value)
    }

    fn skip(&mut self, separator: u8) -> Option<u8> {
        skip(self.text, &mut self.at, separator)
    }
}

/// Moves to the next byte that is neither blank nor `separator`.
fn skip(text: &str, at: &mut usize, separator: u8) -> Option<u8> {
    while let Some(&byte) = text.as_bytes().get(*at) {
        if !byte.is_ascii_whitespace() && byte != separator {
            return Some(byte);
        }
        *at += 1;
    }
    None
}

/// Offset of the quote that closes the string opened at `open`; the end of the text if none does.
fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    loop {
        at = words::find(bytes, at, |word| word.equal(b'"') | word.equal(b'\\'));
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            _ => return at,
        }
    }
}

/// Offset after the value that starts at `at`.
fn end_of_value(text: &str, mut at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' => {
                at = end_of_string(bytes, at);
                if depth == 0 {
                    return (at + 1).min(bytes.len());
                }
            }
            b',' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

impl<'t> Iterator for RawObject<'t> {
    type Item = (Cow<'t, str>, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.skip(b',')? != b'"' {
            self.at = self.text.len();
            return None;
        }
        let open = self.at;
        let close = end_of_string(self.text.as_bytes(), open);
        let name = self.text.get(open..=close)?;
        let name = decode_string(name).unwrap_or(Cow::Borrowed(name));
        self.at = close + 1;
        self.skip(b':')?;
        let end = end_of_value(self.text, self.at);
        let value = self.text.get(self.at..end)?.trim_ascii_end();
        self.at = end;
        Some((name, value))
    }
}

/// The elements of a well formed JSON array as raw values, in the order of the text; as tolerant as [`RawObject`].
#[derive(Debug, Clone)]
pub struct RawArray<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> RawArray<'t> {
    /// The elements of `text`; none if it holds no array.
    pub fn new(text: &'t str) -> Self {
        let open = text.len() - text.trim_ascii_start().len();
        let at = if text.as_bytes().get(open) == Some(&b'[') { open + 1 } else { text.len() };
        Self { text, at }
    }
}

impl<'t> Iterator for RawArray<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if matches!(skip(self.text, &mut self.at, b',')?, b']' | b'}') {
            self.at = self.text.len();
            return None;
        }
        let end = end_of_value(self.text, self.at);
        let value = self.text.get(self.at..end)?.trim_ascii_end();
        self.at = end;
        Some(value)
    }
}

/// The text of a JSON string with its quotes; borrowed unless it has escapes. `None` if it is no well formed string.
pub fn decode_string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    let is_escaped = |word: Word| word.equal(b'\\') | word.equal(b'"');
    if words::find(inner.as_bytes(), 0, is_escaped) == inner.len() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

/// Appends `text` as a JSON string with its quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// Appends `text` as it stands within a JSON string.
pub fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    loop {
        let at = words::find(bytes, copied, Word::json_special);
        out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
        let escape = match bytes.get(at) {
            None => return,
            Some(byte @ (b'"' | b'\\')) => *byte,
            Some(b'\n') => b'n',
            Some(b'\r') => b'r',
            Some(b'\t') => b't',
            Some(byte) => {
                out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                copied = at + 1;
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', escape]);
        copied = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn members_keep_their_text() {
        let members: Vec<_> =
            RawObject::new(" { \"a\" : [1, {\"x\":\"}\"}] ,\"b\\n\":-1e5 , \"c\":\"q\\\"\" } ").collect();
        assert_eq!(
            members,
            [
                (Cow::from("a"), "[1, {\"x\":\"}\"}]"),
                (Cow::from("b\n"), "-1e5"),
                (Cow::from("c"), "\"q\\\"\"")
            ]
        );
        let members: Vec<_> = RawObject::new(r#"{"\ud800":1,"a":2}"#).collect();
        assert_eq!(members, [(Cow::from(r#""\ud800""#), "1"), (Cow::from("a"), "2")]);
        assert_eq!(RawObject::new(r#"{"a":1,"b":2,"\u0061":3}"#).member("a"), Some("3"));
        assert_eq!(RawObject::new("[1]").count(), 0);
        assert_eq!(RawObject::new("{}").count(), 0);
    }

    #[test]
    fn elements_keep_their_text() {
        let elements: Vec<_> = RawArray::new(" [ 1 , \"a,]\",[2,[3]],{\"b\":[]} , null ] ").collect();
        assert_eq!(elements, ["1", "\"a,]\"", "[2,[3]]", "{\"b\":[]}", "null"]);
        assert_eq!(RawArray::new("[]").count(), 0);
        assert_eq!(RawArray::new("{}").count(), 0);
    }

    proptest! {
        #[test]
        fn agrees_with_a_parsed_object(
            members in prop::collection::btree_map("\\PC{0,4}", "\\PC{0,6}", 0..6), spaced in any::<bool>()
        ) {
            let value = serde_json::to_value(&members).map_err(|e| TestCaseError::fail(e.to_string()))?;
            let text = if spaced { format!("{value:#}") } else { value.to_string() };
            let walked: Vec<_> = RawObject::new(&text)
                .map(|(name, raw)| (name.into_owned(), serde_json::from_str::<Value>(raw).ok()))
                .collect();
            let parsed: Vec<_> = members.into_iter().map(|(name, value)| (name, Some(Value::from(value)))).collect();
            prop_assert_eq!(walked, parsed);
        }

        #[test]
        fn ends_on_any_text(text in "[\\PC{}\\[\\]\",:\\\\]*") {
            prop_assert!(RawObject::new(&text).count() <= text.len());
            prop_assert!(RawArray::new(&text).count() <= text.len());
        }

        #[test]
        fn strings_are_written_as_json(text in ".*") {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).ok(), Some(text.clone()));
            let raw = String::from_utf8(out).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(decode_string(&raw).map(Cow::into_owned), Some(text));
        }
    }
}
