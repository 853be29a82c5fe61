#![doc = include_str!("../README.md")]

mod pointer;
mod selector;
mod merge;
mod raw;
mod limits;

pub use self::{
    limits::{LimitError, check_limits},
    merge::{merge_objects, merge_patch},
    pointer::{JsonPointer, PointerError},
    raw::{JsonKind, RawObject, decode_string, write_string},
    selector::{FieldSelector, SelectorError, SelectorErrorKind},
};
