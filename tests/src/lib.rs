//! Test kit of ditto-connectivity.

pub mod conformance;
pub mod corpus;
