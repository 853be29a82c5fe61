#![doc = include_str!("../README.md")]

mod context;
mod effective;
mod enforcer;
mod error;
mod grants;
mod namespace;
mod policy;
mod rules;
mod view;

#[cfg(test)]
mod tests;

pub use self::{
    context::AuthorizationContext,
    enforcer::{Enforcer, Reason},
    error::PolicyError,
    grants::{Decision, GrantHeaders, Grants, GrantsError},
    policy::{Entry, Importable, Policy, Resource, Subject},
    view::{ALWAYS_READABLE, Access, Cut, View},
};
