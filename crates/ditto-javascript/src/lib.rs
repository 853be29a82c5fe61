#![doc = include_str!("../README.md")]

mod engine;
mod external;
mod factory;
mod limits;
mod mapper;
#[cfg(test)]
mod tests;

pub use self::{factory::JavaScriptFactory, limits::ScriptLimits};
