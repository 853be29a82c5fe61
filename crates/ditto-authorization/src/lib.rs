#![doc = include_str!("../README.md")]

mod context;
mod grants;

pub use self::{
    context::AuthorizationContext,
    grants::{Decision, Grants, GrantsError},
};
