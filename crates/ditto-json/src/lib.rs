#![doc = include_str!("../README.md")]

mod extract;
mod merge;
mod pointer;
mod raw;
mod scan;
mod selector;
mod words;

pub use self::{
    extract::{Extracted, Extraction, Places},
    merge::{PatternError, merge_objects, merge_patch},
    pointer::{JsonPointer, PointerError},
    raw::{JsonKind, RawArray, RawObject, decode_string, write_escaped, write_string},
    scan::{Expected, RawJson, RawString, ScanError, ScanErrorKind, Scanner},
    selector::{FieldSelector, SelectorError, SelectorErrorKind},
};
