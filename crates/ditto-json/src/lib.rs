#![doc = include_str!("../README.md")]

mod limits;
mod merge;
mod pointer;
mod raw;
mod selector;

pub use self::{
    limits::{LimitError, check_limits},
    merge::{merge_objects, merge_patch},
    pointer::{JsonPointer, PointerError},
    raw::{JsonKind, RawObject, decode_string, write_escaped, write_string},
    selector::{FieldSelector, SelectorError, SelectorErrorKind},
};
