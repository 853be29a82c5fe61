#![doc = include_str!("../README.md")]

mod address;
mod ast;
mod error;
mod eval;
mod function;
mod grammar;
mod placeholder;
mod resolve;
mod template;
mod time;
mod value;

pub use self::{
    address::{AddressError, KafkaAddress, ResolvedAddress},
    error::{FunctionError, FunctionErrorKind, TemplateError, TemplateErrorKind},
    placeholder::{Placeholder, Scope},
    resolve::{Resolution, Resolve},
    template::Template,
    time::{TimeName, UtcTime},
    value::Value,
};
