//! Test kit of ditto-connectivity.

#![expect(
    clippy::indexing_slicing,
    reason = "values of vectors: reading answers null, and what is built is an object"
)]

pub mod api;
pub mod bench;
pub mod broker;
pub mod campaign;
pub mod conformance;
pub mod corpus;
pub mod ditto;
pub mod http;
pub mod process;
pub mod proxy;
pub mod secrets;
pub mod service;
pub mod things;
pub mod topics;
