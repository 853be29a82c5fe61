#![doc = include_str!("../README.md")]

mod choices;
mod expression;
mod literal;
mod pattern;
mod property;
mod quote;
mod time;

mod error;
mod grammar;

mod fields;
mod json;
mod pending;
mod truth;

mod compare;
mod decimal;
mod eval;
mod explain;

#[cfg(test)]
mod arbitrary;

pub use self::{
    choices::Choices,
    error::{FilterError, FilterErrorKind, Reason},
    explain::Explanation,
    expression::{Comparison, Condition, Expression, Filter, Predicate},
    fields::{Fields, Presence, Scalar},
    literal::{Literal, Number},
    pattern::Pattern,
    pending::Pending,
    property::{Field, Placeholder, Property},
    time::Time,
    truth::Truth,
};
