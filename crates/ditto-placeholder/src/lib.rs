#![doc = include_str!("../README.md")]

mod address;
mod ast;
mod caret;
mod error;
mod eval;
mod explain;
mod function;
mod grammar;
mod placeholder;
mod resolve;
mod template;
mod time;
mod value;

pub use self::{
    address::{AddressError, AddressOutline, KafkaAddress, ResolvedAddress},
    caret::caret,
    error::{FunctionError, FunctionErrorKind, TemplateError, TemplateErrorKind},
    explain::{ExplainedPipeline, ExplainedStep, Explanation},
    placeholder::{Placeholder, Scope},
    resolve::{Resolution, Resolve},
    template::Template,
    time::{TimeName, UtcTime},
    value::Value,
};
