//! What holds for any input. The targets in `fuzz/` look for one that breaks it, `crashes/` has those that did.

use std::borrow::Cow;

use ditto_json::{
    Extraction, FieldSelector, JsonKind, JsonPointer, Places, RawArray, RawObject, ScanError, ScanErrorKind,
    Scanner, decode_string, write_string,
};
use serde_json::Value;
use serde_json::value::RawValue;

/// The scanner takes what serde_json takes, but for empty names and the bound on depth; walking what was scanned finds
/// the same members and elements.
pub(crate) fn scan(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let expected = serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get);
    match value(text, usize::MAX) {
        Ok(found) => {
            assert_eq!(Some(found), expected);
            let depth = depth(found);
            assert!(value(text, depth).is_ok());
            if let Some(less) = depth.checked_sub(1) {
                let refused = value(text, less).map_err(|error| error.kind());
                assert_eq!(refused, Err(ScanErrorKind::TooDeep));
            }
            walk(found);
        }
        Err(error) if error.kind() == ScanErrorKind::EmptyName => {
            assert!(text.get(error.at()..).is_some_and(|rest| rest.starts_with("\"\"")));
        }
        Err(error) => assert_eq!(expected, None, "{error}"),
    }
}

fn value(text: &str, max_depth: usize) -> Result<&str, ScanError> {
    let mut scanner = Scanner::new(text, max_depth);
    let value = scanner.value()?;
    scanner.end().map(|()| value.text())
}

/// Levels of objects and arrays in a text that is well formed.
fn depth(text: &str) -> usize {
    let (mut deepest, mut depth, mut in_string, mut is_escaped) = (0, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn walk(text: &str) {
    match JsonKind::of(text) {
        JsonKind::Object => {
            let mut members = Vec::new();
            let mut scanner = Scanner::new(text, usize::MAX);
            let scanned = scanner.object(|scanner, name| {
                members.push((name.decode(), name.quoted(), scanner.value()?.text()));
                Ok(())
            });
            assert_eq!(scanned, Ok(()));
            let walked: Vec<_> = RawObject::new(text).collect();
            assert_eq!(walked.len(), members.len());
            for ((name, value), (decoded, quoted, scanned)) in walked.into_iter().zip(members) {
                assert_eq!((&name, value), (&decoded.unwrap_or(Cow::Borrowed(quoted)), scanned));
            }
        }
        JsonKind::Array => {
            let elements = serde_json::from_str::<Vec<&RawValue>>(text).unwrap_or_default();
            assert!(RawArray::new(text).eq(elements.into_iter().map(RawValue::get)));
        }
        JsonKind::String => {
            let decoded = decode_string(text).map(Cow::into_owned);
            assert_eq!(decoded, serde_json::from_str::<String>(text).ok());
            let mut out = Vec::new();
            write_string(&mut out, decoded.as_deref().unwrap_or(text));
            assert_eq!(serde_json::from_slice(&out).ok(), decoded.or(Some(text.to_owned())));
        }
        JsonKind::Null | JsonKind::Bool | JsonKind::Number => {}
    }
}

/// What one pass over a text finds is what a walk through its value finds, compiled or not; and it takes what the scanner
/// takes. The pointers are the lines before the first one that opens a value, and those to the first members of the value.
pub(crate) fn extraction(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = text.split_inclusive('\n').take_while(|line| !line.starts_with(['{', '[']));
    let (mut pointers, mut start) = (Vec::new(), 0);
    for line in lines.take(8).filter(|line| line.ends_with('\n')) {
        start += line.len();
        pointers.extend(line.trim_ascii_end().parse::<JsonPointer>());
    }
    let text = text.get(start..).unwrap_or_default();
    let parsed = serde_json::from_str::<Value>(text).ok();
    if let Some(value) = &parsed {
        members(value, &JsonPointer::root(), &mut pointers);
    }
    for compiled in [pointers.len(), pointers.len() / 2] {
        let (extraction, mut places) = (Extraction::new(pointers.iter().take(compiled)), Places::default());
        // What an earlier text has left behind does not count.
        let _ = extraction.scan("{\"value\":{\"attributes\":{}}}", 64, &mut places);
        let found = extraction.scan(text, 64, &mut places);
        assert_eq!(found.map(|found| found.value()), value(text, 64));
        let (Ok(found), Some(value)) = (found, &parsed) else { return };
        for pointer in &pointers {
            let walked = pointer.get(value);
            let got = found.get(pointer).map(|text| serde_json::from_str::<Value>(text).ok());
            assert_eq!(got, walked.cloned().map(Some), "{pointer}");
            let Some((reached, rest)) = found.reach(pointer) else {
                assert_eq!(walked, None, "{pointer}");
                continue;
            };
            let on_the_way = pointer.segments().iter().take(pointer.segments().len() - rest.len());
            let on_the_way = JsonPointer::of(on_the_way);
            assert_eq!(found.get(&on_the_way), Some(reached), "{pointer}");
            let below = found.below(&on_the_way).and_then(|below| below.get(&JsonPointer::of(rest)));
            assert_eq!(below, found.get(pointer), "{pointer}");
        }
    }
}

/// Pointers to what is in the value, some of them.
fn members(value: &Value, at: &JsonPointer, pointers: &mut Vec<JsonPointer>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        if pointers.len() < 64 {
            let below = at.join(&JsonPointer::of([name]));
            members(member, &below, pointers);
            pointers.push(below);
        }
    }
}

/// What is printed reads back, and what is set there is got there.
pub(crate) fn pointer(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(pointer) = text.parse::<JsonPointer>() else { return };
    assert_eq!(pointer.to_string().parse(), Ok(pointer.clone()));
    let mut document = Value::Null;
    pointer.set(&mut document, Value::from(1));
    assert_eq!(pointer.get(&document), Some(&Value::from(1)));
    assert!(pointer.join(&pointer).starts_with(&pointer));
}

/// Each place once; what is selected is there, and selecting once more selects the same. A mistake has a place.
pub(crate) fn selector(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let selector = match text.parse::<FieldSelector>() {
        Ok(selector) => selector,
        Err(error) => return assert!(error.at() <= text.len(), "{error}"),
    };
    assert_eq!(selector.to_string().parse(), Ok(selector.clone()));
    let mut whole = Value::Null;
    for (at, pointer) in selector.pointers().iter().enumerate() {
        assert!(!selector.pointers().iter().skip(at + 1).any(|other| other == pointer));
        pointer.set(&mut whole, Value::from(at));
    }
    let selected = selector.select(&whole);
    assert_eq!(selector.select(&selected), selected);
    assert!(selector.pointers().iter().all(|pointer| pointer.get(&selected) == pointer.get(&whole)));
}
