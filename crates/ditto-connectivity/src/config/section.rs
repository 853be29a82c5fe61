//! Reading a TOML table value by value, collecting everything that is wrong.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::interpolate::{Variables, interpolate};

/// A configuration file and what is wrong with it so far.
pub(super) struct Document<'d> {
    text: &'d str,
    variables: Variables<'d>,
    errors: RefCell<Vec<ConfigError>>,
}

impl<'d> Document<'d> {
    pub(super) fn new(text: &'d str, variables: Variables<'d>) -> Self {
        Self { text, variables, errors: RefCell::default() }
    }

    pub(super) fn error(&self, at: Option<usize>, text: String) {
        let line = at.and_then(|at| self.text.get(..at)).map_or(1, |before| 1 + before.matches('\n').count());
        self.errors.borrow_mut().push(ConfigError { line: Some(line), text });
    }

    /// All errors, in the order of the file.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|error| error.line);
        errors
    }
}

/// A table of the file. What was not asked for is unknown.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    /// Empty for the root.
    name: String,
    /// `None`: it is not there.
    table: Option<&'d DeTable<'d>>,
    at: usize,
    known: Vec<&'static str>,
}

impl<'d> Section<'d> {
    pub(super) fn of_root(document: &'d Document<'d>, table: &'d DeTable<'d>) -> Self {
        Self { document, name: String::new(), table: Some(table), at: 0, known: Vec::new() }
    }

    /// A table that must be there.
    pub(super) fn section(&mut self, name: &'static str, remedy: &str) -> Self {
        let section = self.optional_section(name);
        if section.table.is_none() && !self.has(name) {
            self.missing(name, remedy);
        }
        section
    }

    pub(super) fn optional_section(&mut self, name: &'static str) -> Self {
        let value = self.value(name);
        let table = value.and_then(|value| match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                self.refuse(name, &format!("is a table: write [{name}]"));
                None
            }
        });
        let at = value.map_or(self.at, |value| value.span().start);
        Self { document: self.document, name: name.to_owned(), table, at, known: Vec::new() }
    }

    /// The tables within a table, by names that are the user's.
    pub(super) fn tables(&mut self, name: &'static str) -> Vec<(String, Self)> {
        let path = self.path(name);
        let outer = self.optional_section(name);
        let tables = outer.table.into_iter().flatten().filter_map(|(key, value)| {
            let (key, at) = (key.get_ref().to_string(), value.span().start);
            let DeValue::Table(table) = value.get_ref() else {
                outer.refuse_at(at, &key, &format!("is a table: write [{path}.\"{key}\"]"));
                return None;
            };
            let name = format!("{path}.\"{key}\"");
            Some((key, Self { document: self.document, name, table: Some(table), at, known: Vec::new() }))
        });
        tables.collect()
    }

    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name))
    }

    fn value(&mut self, name: &'static str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.known.push(name);
        self.table?.get(name)
    }

    /// A text, with its variables replaced. Numbers and booleans can be texts too, so that they can hold variables.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.value(name)?;
        self.text_of(name, value)
    }

    fn text_of(&self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<String> {
        let DeValue::String(text) = value.get_ref() else {
            self.refuse_at(value.span().start, name, "is a text: put it in quotes");
            return None;
        };
        interpolate(text, self.document.variables)
            .map_err(|error| self.refuse_at(value.span().start, name, &error))
            .ok()
    }

    pub(super) fn required_text(&mut self, name: &'static str, remedy: &str) -> Option<String> {
        if !self.has(name) {
            self.known.push(name);
            // A missing table is reported once, by who asked for it.
            if self.is_there() {
                self.missing(name, remedy);
            }
            return None;
        }
        self.text(name).filter(|text| {
            let is_empty = text.is_empty();
            if is_empty {
                self.refuse(name, &format!("is empty; {remedy}"));
            }
            !is_empty
        })
    }

    pub(super) fn list(&mut self, name: &'static str) -> Option<Vec<String>> {
        let value = self.value(name)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.refuse(name, "is a list: write [\"…\"]");
            return None;
        };
        Some(items.iter().filter_map(|item| self.text_of(name, item)).collect())
    }

    fn parsed<T: FromStr>(&mut self, name: &'static str, expected: &str) -> Option<T> {
        let value = self.value(name)?;
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Boolean(boolean) => boolean.to_string(),
            DeValue::String(_) => self.text_of(name, value)?,
            _ => String::new(),
        };
        let parsed = text.trim().replace('_', "").parse().ok();
        if parsed.is_none() {
            self.refuse(name, &format!("is no {expected}"));
        }
        parsed
    }

    pub(super) fn number(&mut self, name: &'static str, range: RangeInclusive<usize>) -> Option<usize> {
        let number = self.parsed(name, "whole number")?;
        if !range.contains(&number) {
            self.refuse(name, &format!("is {number}, not within {} and {}", range.start(), range.end()));
            return None;
        }
        Some(number)
    }

    pub(super) fn boolean(&mut self, name: &'static str) -> Option<bool> {
        self.parsed(name, "boolean: write true or false")
    }

    /// A number with `ms`, `s` or `m`.
    pub(super) fn duration(&mut self, name: &'static str, default: Duration) -> Duration {
        let Some(text) = self.text(name) else { return default };
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let duration = match (text.strip_suffix("ms"), text.strip_suffix('s'), text.strip_suffix('m')) {
            (Some(millis), _, _) => number(millis).map(Duration::from_millis),
            (_, Some(seconds), _) => number(seconds).map(Duration::from_secs),
            (_, _, Some(minutes)) => {
                number(minutes).map(|minutes| Duration::from_secs(minutes.saturating_mul(60)))
            }
            _ => None,
        };
        if duration.is_none() {
            self.refuse(
                name,
                &format!("`{text}` is no duration: write a number with ms, s or m, such as 30s"),
            );
        }
        duration.unwrap_or(default)
    }

    /// One of several words.
    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.refuse(name, &format!("`{text}` is none of {}", words.join(", ")));
        }
        chosen
    }

    /// Reports a value that is not there.
    pub(super) fn missing(&self, name: &str, remedy: &str) {
        self.document.error(Some(self.at), format!("{} is missing; {remedy}", self.path(name)));
    }

    /// Reports a value.
    pub(super) fn refuse(&self, name: &str, reason: &str) {
        let at = self.table.and_then(|table| table.get(name)).map_or(self.at, |value| value.span().start);
        self.refuse_at(at, name, reason);
    }

    fn refuse_at(&self, at: usize, name: &str, reason: &str) {
        self.document.error(Some(at), format!("{} {reason}", self.path(name)));
    }

    fn path(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_owned() } else { format!("{}.{name}", self.name) }
    }

    /// What else is there cannot be judged.
    pub(super) fn ignore_rest(&mut self) {
        self.table = None;
    }

    /// Reports what nobody asked for.
    pub(super) fn end(self) {
        for (name, _) in self.table.into_iter().flatten() {
            if !self.known.iter().any(|known| *known == name.get_ref().as_ref()) {
                let reason = format!("is unknown; known here are {}", self.known.join(", "));
                self.refuse_at(name.span().start, name.get_ref(), &reason);
            }
        }
    }
}
