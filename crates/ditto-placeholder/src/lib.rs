#![doc = include_str!("../README.md")]

mod ast;
mod grammar;
mod error;
mod resolve;
mod address;

pub use self::{
    address::{AddressError, KafkaAddress, ResolvedAddress},
    ast::{Argument, Call, Part, Pipeline, Placeholder, Template},
    error::{TemplateError, TemplateErrorKind},
    resolve::{Resolution, Resolve},
};
