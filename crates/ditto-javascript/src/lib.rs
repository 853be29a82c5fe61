#![doc = include_str!("../README.md")]

mod allocator;
mod engine;
mod external;
mod factory;
mod guard;
mod limits;
mod mapper;
mod scopes;
#[cfg(test)]
mod tests;
mod watchdog;

pub use self::{factory::JavaScriptFactory, limits::ScriptLimits, scopes::ScriptUsage};
