//! Where a JSON pointer leads to in a text.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

/// The position of the value at `pointer`, or of the innermost value above it that exists.
pub(crate) fn locate(text: &str, pointer: &str) -> Position {
    let mut at = text.trim_start();
    for segment in pointer.split('/').skip(1) {
        match child(at, &segment.replace("~1", "/").replace("~0", "~")) {
            Some(value) => at = value,
            None => break,
        }
    }
    let offset = (at.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len());
    position_of(text, offset)
}

/// The position of a byte offset.
pub(crate) fn position_of(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Position {
        line: before.matches('\n').count() + 1,
        column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
    }
}

fn child<'t>(value: &'t str, segment: &str) -> Option<&'t str> {
    if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(value) {
        return elements.get(segment.parse::<usize>().ok()?).map(|element| element.get());
    }
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(value).ok()?;
    members.get(segment).map(|member| member.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_elements_and_members() {
        let text = "{\n  \"a\": [1,\n    {\"b\": 2}]\n}";
        assert_eq!(locate(text, "/a/1/b"), Position { line: 3, column: 11 });
        assert_eq!(locate(text, "/a/1/x"), Position { line: 3, column: 5 });
        assert_eq!(locate("{\"a/b\": 1}", "/a~1b"), Position { line: 1, column: 9 });
        assert_eq!(locate(text, ""), Position { line: 1, column: 1 });
    }
}
