//! Members with their types: what is none is reported, with its place.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::draft::Draft;
use crate::members;
use crate::nearest::nearest;
use crate::position::locate;
use crate::report::{Check, Finding, Severity, ValidationReport};

pub(super) const JSON_INVALID: &str = "json.invalid";
pub(super) const CONFIGURATION_INVALID: &str = "connectivity:connection.configuration.invalid";
pub(super) const URI_INVALID: &str = "connectivity:connection.uri.invalid";
const FIELD_MISSING: &str = "json.field.missing";

/// Findings that are told with their position, since each is looked for in the whole text. What refuses nothing is not told
/// any more behind so many.
const MAX_LOCATED: usize = 100;
/// And what is read for that, in bytes.
const MAX_LOCATED_BYTES: usize = 8 << 20;
/// How many findings are kept of a definition, whatever it has: a text of 1 MiB may have 350 000 mistakes.
const MAX_FINDINGS: usize = 1_000;

/// A definition being read.
pub(super) struct Reader<'d> {
    pub(super) draft: Draft<'d>,
    /// Pointer of the connection within the text.
    pub(super) base: &'static str,
    pub(super) report: ValidationReport,
    /// Definitions of payload mappers that somebody names: they were looked at.
    pub(super) checked_mappers: HashSet<String>,
}

/// An object of the definition, and where it is.
#[derive(Clone)]
pub(super) struct Object<'v> {
    pub(super) members: &'v Map<String, Value>,
    pub(super) at: String,
}

impl<'v> Object<'v> {
    /// A member; null is the same as absent.
    pub(super) fn get(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Where a member is.
    pub(super) fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, name.replace('~', "~0").replace('/', "~1"))
    }
}

impl Reader<'_> {
    pub(super) fn find(
        &mut self,
        severity: Severity,
        check: Check,
        pointer: &str,
        code: &'static str,
        reason: String,
        remedy: &str,
    ) {
        if severity == Severity::Note && self.is_told_enough() || self.is_beyond(severity, check) {
            return;
        }
        let pointer = format!("{}{pointer}", self.base);
        let is_located = !self.is_told_enough()
            && self.report.findings().len() * self.draft.text.len() < MAX_LOCATED_BYTES;
        let position = is_located.then(|| locate(self.draft.text, &pointer));
        let (remedy, reason) = (remedy.to_owned(), shorten_to(&reason, MAX_REASON));
        self.report.push(Finding { severity, check, pointer, position, code, reason, remedy, excerpt: None });
    }

    /// Whether so many are known that this one would not be heard of: it is not the first either.
    fn is_beyond(&self, severity: Severity, check: Check) -> bool {
        self.report.findings().len() >= MAX_FINDINGS
            && (severity != Severity::Error
                || self.report.first_error().is_some_and(|first| first.check <= check))
    }

    pub(super) fn is_told_enough(&self) -> bool {
        self.report.findings().len() >= MAX_LOCATED
    }

    pub(super) fn error(
        &mut self,
        check: Check,
        pointer: &str,
        code: &'static str,
        reason: impl Into<String>,
        remedy: &str,
    ) {
        self.find(Severity::Error, check, pointer, code, reason.into(), remedy);
    }

    /// An error of the configuration, which is what most are.
    pub(super) fn invalid(&mut self, check: Check, pointer: &str, reason: impl Into<String>, remedy: &str) {
        self.error(check, pointer, CONFIGURATION_INVALID, reason, remedy);
    }

    pub(super) fn warning(&mut self, pointer: &str, reason: impl Into<String>, remedy: &str) {
        self.find(Severity::Warning, Check::Own, pointer, CONFIGURATION_INVALID, reason.into(), remedy);
    }

    pub(super) fn note(&mut self, pointer: &str, reason: impl Into<String>, remedy: &str) {
        self.find(Severity::Note, Check::Own, pointer, CONFIGURATION_INVALID, reason.into(), remedy);
    }

    /// What is kept, and not built yet.
    pub(super) fn not_served(&mut self, pointer: &str, what: &str, remedy: &str) {
        let reason = format!("{what} not built yet");
        self.find(Severity::NotServed, Check::Own, pointer, CONFIGURATION_INVALID, reason, remedy);
    }

    /// Members that are none are dropped; whoever misspelt one is told.
    pub(super) fn known(&mut self, object: &Object<'_>, table: &'static members::Object) {
        for name in object.members.keys().filter(|name| !table.names().any(|known| known == name.as_str())) {
            if self.is_told_enough() {
                return;
            }
            let near = nearest(name, table.names());
            let remedy = near.map_or("remove it".to_owned(), |near| format!("did you mean `{near}`?"));
            let kept = if table.is_open { "is kept and has no effect" } else { "is dropped" };
            let reason = format!("there is no member `{}` of `{}`: it {kept}", shorten(name), table.name);
            self.note(&object.pointer(name), reason, &remedy);
        }
    }

    fn wrong_type(&mut self, pointer: &str, is_no: &str, remedy: &str) {
        let name = pointer.rsplit('/').next().unwrap_or_default();
        let reason = format!("`{name}` is no {is_no}");
        self.error(Check::Read, pointer, JSON_INVALID, reason, remedy);
    }

    pub(super) fn missing(&mut self, object: &Object<'_>, name: &str) {
        let reason = format!("member `{name}` is missing");
        self.error(Check::Read, &object.pointer(name), FIELD_MISSING, reason, "add it");
    }

    pub(super) fn text<'v>(&mut self, object: &Object<'v>, name: &str) -> Option<&'v str> {
        match object.get(name)? {
            Value::String(text) => return Some(text),
            _ => self.wrong_type(&object.pointer(name), "string", "put it in quotes"),
        }
        None
    }

    pub(super) fn required_text<'v>(&mut self, object: &Object<'v>, name: &str) -> Option<&'v str> {
        if object.get(name).is_none() {
            self.missing(object, name);
        }
        self.text(object, name)
    }

    pub(super) fn flag(&mut self, object: &Object<'_>, name: &str) -> Option<bool> {
        match object.get(name)? {
            Value::Bool(value) => return Some(*value),
            _ => self.wrong_type(&object.pointer(name), "boolean", "write true or false without quotes"),
        }
        None
    }

    /// A whole number of 32 bits. The reference breaks on other numbers.
    pub(super) fn int(&mut self, object: &Object<'_>, name: &str) -> Option<i32> {
        let pointer = object.pointer(name);
        match object.get(name)? {
            Value::Number(number) => {
                let int = number.as_i64().and_then(|it| i32::try_from(it).ok());
                if int.is_none() {
                    let reason = format!("`{name}` is no whole number of 32 bits");
                    self.invalid(Check::Read, &pointer, reason, "write a whole number");
                }
                return int;
            }
            _ => self.wrong_type(&pointer, "number", "write a number without quotes"),
        }
        None
    }

    /// A whole number from 1 on. The reference breaks on others.
    pub(super) fn count(&mut self, object: &Object<'_>, name: &str) -> Option<u32> {
        let int = self.int(object, name)?;
        let count = u32::try_from(int).ok().filter(|count| *count > 0);
        if count.is_none() {
            let reason = format!("`{name}` is {int}, less than 1");
            self.invalid(Check::Read, &object.pointer(name), reason, "leave it out or write 1");
        }
        count
    }

    pub(super) fn array<'v>(&mut self, object: &Object<'v>, name: &str) -> &'v [Value] {
        match object.get(name) {
            None => {}
            Some(Value::Array(elements)) => return elements,
            Some(_) => self.wrong_type(&object.pointer(name), "array", "put it in brackets"),
        }
        &[]
    }

    pub(super) fn object<'v>(&mut self, object: &Object<'v>, name: &str) -> Option<Object<'v>> {
        let at = object.pointer(name);
        match object.get(name)? {
            Value::Object(members) => return Some(Object { members, at }),
            _ => self.wrong_type(&at, "object", "put it in braces"),
        }
        None
    }

    /// The objects of an array; the reference skips what is none.
    pub(super) fn objects<'v>(&mut self, object: &Object<'v>, name: &str) -> Vec<Object<'v>> {
        let mut objects = Vec::new();
        for (n, element) in self.array(object, name).iter().enumerate() {
            let at = format!("{}/{n}", object.pointer(name));
            match element {
                Value::Object(members) => objects.push(Object { members, at }),
                _ => self.note(&at, "this element is no object: it is dropped", "remove it"),
            }
        }
        objects
    }

    /// The texts of an array, each with its index; what is none is refused. The reference breaks there.
    pub(super) fn texts<'v>(&mut self, object: &Object<'v>, name: &str) -> Vec<(usize, &'v str)> {
        let mut texts = Vec::new();
        for (n, element) in self.array(object, name).iter().enumerate() {
            match element {
                Value::String(text) => texts.push((n, text.as_str())),
                _ => {
                    let pointer = format!("{}/{n}", object.pointer(name));
                    let reason = format!("this element of `{name}` is no string");
                    self.error(Check::Read, &pointer, JSON_INVALID, reason, "put it in quotes");
                }
            }
        }
        texts
    }

    /// The texts of an array, each with its index; the reference drops what is none.
    pub(super) fn some_texts<'v>(&mut self, object: &Object<'v>, name: &str) -> Vec<(usize, &'v str)> {
        let mut texts = Vec::new();
        for (n, element) in self.array(object, name).iter().enumerate() {
            match element {
                Value::String(text) => texts.push((n, text.as_str())),
                _ => {
                    let pointer = format!("{}/{n}", object.pointer(name));
                    self.note(&pointer, "this element is no string: it is dropped", "put it in quotes");
                }
            }
        }
        texts
    }

    /// Names and texts of an object; the reference drops values that are none.
    pub(super) fn text_map<'v>(&mut self, object: &Object<'v>, name: &str) -> Vec<(&'v str, &'v str)> {
        let Some(map) = self.object(object, name) else { return Vec::new() };
        let mut texts = Vec::new();
        for (key, value) in map.members {
            match value {
                Value::String(text) => texts.push((key.as_str(), text.as_str())),
                _ => {
                    let reason = "this value is no string: it is dropped";
                    self.note(&map.pointer(key), reason, "put it in quotes");
                }
            }
        }
        texts
    }

    /// Names and values of an object; what is no text becomes one.
    pub(super) fn any_map(&mut self, object: &Object<'_>, name: &str) -> Vec<(String, String)> {
        let Some(map) = self.object(object, name) else { return Vec::new() };
        map.members.iter().map(|(key, value)| (key.clone(), plain_text(value))).collect()
    }

    /// Excerpt of the last error.
    pub(super) fn show(&mut self, excerpt: Option<String>) {
        // Nobody finds a place in a line that long.
        let excerpt = excerpt.filter(|it| it.len() <= MAX_EXCERPT);
        if self.report.findings().len() < MAX_FINDINGS {
            self.report.show_last(excerpt);
        }
    }
}

/// `did you mean …`, or all there are.
pub(super) fn did_you_mean(text: &str, candidates: &[&str]) -> String {
    match nearest(text, candidates.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("use one of {}", candidates.join(", ")),
    }
}

/// What somebody wrote, for a message.
pub(super) fn shorten(text: &str) -> String {
    shorten_to(text, 100)
}

/// What is told of a mistake, in characters: definitions have up to 1 MiB, and some of it is repeated.
const MAX_REASON: usize = 2_000;
const MAX_EXCERPT: usize = 4_096;

fn shorten_to(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// As the reference keeps values that are to be texts.
fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
