//! Test kit of ditto-connectivity.

pub mod broker;
pub mod conformance;
pub mod corpus;
