//! `fn:format` (placeholders.md §5c): texts made of the members of JSON objects.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::error::FunctionErrorKind;
use crate::value::{MAX_VALUES, Value, product};

/// Sections within sections.
const MAX_DEPTH: usize = 16;

/// Texts, references and sections of one format.
const MAX_PARTS: usize = 1_024;

/// A format, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Format {
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    /// `{name}`, `{/pointer/to/it}`; `{.}` is the element itself, where that is no object.
    Reference(Pointer),
    /// `{#name}…{/name}`
    Section(Pointer, Vec<Part>),
}

/// Names on the way to a member.
#[derive(Debug, Clone)]
struct Pointer {
    text: String,
    names: Vec<String>,
}

/// What a member is, in its text.
type Members<'j> = BTreeMap<String, &'j RawValue>;

impl Format {
    pub(super) fn parse(text: &str) -> Result<Self, FunctionErrorKind> {
        let mut left = MAX_PARTS;
        Ok(Self { parts: parse(text, 0, &mut left)? })
    }

    /// One text for each object, more where a member is an array. Whatever is no object is left out, and with nothing left the
    /// text is empty: also what is deleted gives an empty text (§5a).
    pub(super) fn apply(&self, input: &Value) -> Result<Value, FunctionErrorKind> {
        if *input == Value::Unresolved {
            return Ok(Value::Unresolved);
        }
        let mut texts = Vec::new();
        for text in input.texts() {
            if let Ok(members) = serde_json::from_str::<Members<'_>>(text) {
                append(&mut texts, of_object(&self.parts, &members)?)?;
            }
        }
        if texts.is_empty() {
            texts.push(String::new());
        }
        Ok(Value::Resolved(texts))
    }
}

fn append(texts: &mut Vec<String>, more: Vec<String>) -> Result<(), FunctionErrorKind> {
    if texts.len() + more.len() > MAX_VALUES {
        return Err(FunctionErrorKind::TooManyValues);
    }
    texts.extend(more);
    Ok(())
}

fn of_object(parts: &[Part], members: &Members<'_>) -> Result<Vec<String>, FunctionErrorKind> {
    let mut texts = vec![String::new()];
    for part in parts {
        texts = match part {
            Part::Text(text) => product(texts, &[text])?,
            Part::Reference(pointer) => product(texts, &references(pointer, members)?)?,
            Part::Section(pointer, parts) => product(texts, &section(pointer, parts, members)?)?,
        };
    }
    Ok(texts)
}

/// The texts of a member: of an array those of its elements; an empty one if there is none.
fn references(pointer: &Pointer, members: &Members<'_>) -> Result<Vec<String>, FunctionErrorKind> {
    let found = pointer.find(members);
    let elements = match found.as_deref() {
        None | Some("null") => Vec::new(),
        Some(json) => elements(json)?.unwrap_or_else(|| vec![json]).into_iter().map(text_of).collect(),
    };
    Ok(or_empty(elements))
}

fn section(
    pointer: &Pointer,
    parts: &[Part],
    members: &Members<'_>,
) -> Result<Vec<String>, FunctionErrorKind> {
    let mut texts = Vec::new();
    match pointer.find(members).as_deref() {
        None | Some("null") => {}
        Some(json) => {
            for element in elements(json)?.unwrap_or_else(|| vec![json]) {
                let more = match serde_json::from_str::<Members<'_>>(element) {
                    Ok(members) => of_object(parts, &members)?,
                    Err(_) => vec![of_element(parts, element)],
                };
                append(&mut texts, more)?;
            }
        }
    }
    Ok(or_empty(texts))
}

/// The text of an element that is no object: it has no members.
fn of_element(parts: &[Part], element: &str) -> String {
    let texts = parts.iter().map(|part| match part {
        Part::Text(text) => Cow::Borrowed(text.as_str()),
        Part::Reference(pointer) if pointer.text == "." => Cow::Owned(text_of(element)),
        Part::Reference(_) | Part::Section(..) => Cow::Borrowed(""),
    });
    texts.collect()
}

fn or_empty(texts: Vec<String>) -> Vec<String> {
    if texts.is_empty() { vec![String::new()] } else { texts }
}

/// The elements of an array; `None` if it is none.
fn elements(json: &str) -> Result<Option<Vec<&str>>, FunctionErrorKind> {
    if !json.starts_with('[') {
        return Ok(None);
    }
    let elements: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
    if elements.len() > MAX_VALUES {
        return Err(FunctionErrorKind::TooManyValues);
    }
    Ok(Some(elements.into_iter().map(RawValue::get).collect()))
}

/// A text without its quotes; anything else as JSON, without blanks.
fn text_of(json: &str) -> String {
    if let Ok(text) = serde_json::from_str::<String>(json) {
        return text;
    }
    let (mut is_text, mut is_escaped) = (false, false);
    let kept = json.chars().filter(|c| {
        let keeps = is_text || !c.is_ascii_whitespace();
        match c {
            '"' if !is_escaped => is_text = !is_text,
            _ => {}
        }
        is_escaped = is_text && *c == '\\' && !is_escaped;
        keeps
    });
    kept.collect()
}

impl Pointer {
    /// With or without the first slash. As everywhere in Ditto, `~0` stands for `~`, and `~1` for itself.
    fn new(text: &str) -> Self {
        let inner = text.strip_prefix('/').unwrap_or(text);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let names = match inner {
            "" => Vec::new(),
            _ => inner.split('/').map(|name| name.replace("~0", "~")).collect(),
        };
        Self { text: text.to_owned(), names }
    }

    /// The member's text; of no name at all, that of the object.
    fn find<'j>(&self, members: &Members<'j>) -> Option<Cow<'j, str>> {
        let Some((first, rest)) = self.names.split_first() else {
            return serde_json::to_string(members).ok().map(Cow::Owned);
        };
        let mut json = members.get(first)?.get();
        for name in rest {
            json = serde_json::from_str::<Members<'j>>(json).ok()?.get(name)?.get();
        }
        Some(Cow::Borrowed(json))
    }
}

fn parse(text: &str, depth: usize, left: &mut usize) -> Result<Vec<Part>, FunctionErrorKind> {
    if depth > MAX_DEPTH {
        return Err(FunctionErrorKind::FormatTooComplex);
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, name, body)) = section_tag(rest) {
        flat(before, &mut parts, left)?;
        let (inner, after) = until_closing(body, name).ok_or(FunctionErrorKind::UnclosedSection)?;
        let inner = parse(inner, depth + 1, left)?;
        push(&mut parts, Part::Section(Pointer::new(name), inner), left)?;
        rest = after;
    }
    flat(rest, &mut parts, left)?;
    Ok(parts)
}

fn push(parts: &mut Vec<Part>, part: Part, left: &mut usize) -> Result<(), FunctionErrorKind> {
    *left = left.checked_sub(1).ok_or(FunctionErrorKind::FormatTooComplex)?;
    parts.push(part);
    Ok(())
}

/// What stands before the first `{#name}`, the name, and what stands behind it.
fn section_tag(text: &str) -> Option<(&str, &str, &str)> {
    text.match_indices("{#").filter(|(at, _)| !is_escaped(text, *at)).find_map(|(at, open)| {
        let (name, body) = text.get(at + open.len()..)?.split_once('}')?;
        (!name.is_empty()).then_some((text.get(..at)?, name, body))
    })
}

fn is_escaped(text: &str, at: usize) -> bool {
    text.get(..at).is_some_and(|before| before.ends_with('\\'))
}

/// Splits at the `{/name}` that closes the section; sections of the same name may stand within.
fn until_closing<'f>(body: &'f str, name: &str) -> Option<(&'f str, &'f str)> {
    let (open, close) = (format!("{{#{name}}}"), format!("{{/{name}}}"));
    let mut opens = body.match_indices(&open).map(|(at, _)| at).peekable();
    let mut depth = 1_usize;
    for (at, _) in body.match_indices(&close) {
        while opens.next_if(|open| *open < at).is_some() {
            depth += 1;
        }
        depth -= 1;
        if depth == 0 {
            return Some((body.get(..at)?, body.get(at + close.len()..)?));
        }
    }
    None
}

/// Texts and references. `{/name}` is none: it looks like the end of a section, and stays as it is.
fn flat(text: &str, parts: &mut Vec<Part>, left: &mut usize) -> Result<(), FunctionErrorKind> {
    let mut from = 0;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('{')) {
        let open = at + found;
        at = open + 1;
        let Some((name, _)) = text.get(at..).and_then(|rest| rest.split_once('}')) else { break };
        let is_closing = name.strip_prefix('/').is_some_and(|name| !name.is_empty() && !name.contains('/'));
        if name.is_empty() || name.starts_with('#') || is_closing || is_escaped(text, open) {
            continue;
        }
        push_text(text.get(from..open).unwrap_or_default(), parts, left)?;
        push(parts, Part::Reference(Pointer::new(name)), left)?;
        at += name.len() + 1;
        from = at;
    }
    push_text(text.get(from..).unwrap_or_default(), parts, left)
}

fn push_text(text: &str, parts: &mut Vec<Part>, left: &mut usize) -> Result<(), FunctionErrorKind> {
    if text.is_empty() {
        return Ok(());
    }
    push(parts, Part::Text(text.replace("\\{", "{").replace("\\}", "}")), left)
}
