//! What a filter asks for.

use std::ops::ControlFlow;

use ditto_json::JsonPointer;

use crate::property::Placeholder;

/// A value that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// `null`, which is a value: the field is there.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number as JSON writes it.
    Number(&'a str),
    /// A text.
    String(&'a str),
}

/// Whether something is there, and has something in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is not there.
    Absent,
    /// Null, or a text, an array or an object with nothing in it.
    Empty,
    /// Anything else.
    Filled,
}

/// Whoever has a signal and its thing: it answers what a filter asks for.
///
/// [`serde_json::Value`] and [`ditto_json::Extracted`] are things without a signal: no placeholder has a value there.
pub trait Fields {
    /// Calls `visit` with each value at a place of the thing, until that breaks off. An array stands for its elements at any
    /// depth, also on the way; an object is no value.
    fn values(&self, path: &JsonPointer, visit: &mut dyn FnMut(Scalar<'_>) -> ControlFlow<()>);

    /// Whether there is anything at a place of the thing, empty arrays and objects too.
    fn presence(&self, path: &JsonPointer) -> Presence;

    /// Calls `visit` with each value of a placeholder in order, until that breaks off.
    fn placeholder(&self, placeholder: &Placeholder, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) {
        let _ = (placeholder, visit);
    }
}
