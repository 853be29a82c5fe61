#![doc = include_str!("../README.md")]

mod address;
mod ast;
mod error;
mod grammar;
mod resolve;

pub use self::{
    address::{AddressError, KafkaAddress, ResolvedAddress},
    ast::{Argument, Call, Part, Pipeline, Placeholder, Template},
    error::{TemplateError, TemplateErrorKind},
    resolve::{Resolution, Resolve},
};
