//! Where a directory looks things up.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// What is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    /// Of the thing, or of the policy.
    pub(crate) id: Arc<str>,
}

/// What can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Which policy a thing has, and the revision of the thing. A source may answer with the whole thing.
    PolicyOf,
    /// A thing with all that a source knows of it.
    Thing,
    /// A policy, without those that it imports.
    Policy,
}

/// What a source answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding<V> {
    /// This is it.
    Found {
        value: V,
        /// With this it can be asked next time whether anything has changed.
        validator: Option<Arc<str>>,
    },
    /// What the validator stands for still holds.
    NotModified,
    /// There is nothing of the kind, or nothing that the directory may see: that is final.
    Absent,
    /// There is no answer for now.
    Unavailable(Outage),
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) scope: Scope,
    /// With a remedy, if there is one, and without secrets.
    pub(crate) why: String,
    /// The pause that the source asks for.
    pub(crate) retry_after: Option<Duration>,
}

/// Whom an outage concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What was looked up; others may be answered.
    Entry,
    /// Everything that this source is asked for.
    Source,
}

impl Outage {
    pub(crate) fn of_entry(why: impl Into<String>) -> Self {
        Self { scope: Scope::Entry, why: why.into(), retry_after: None }
    }

    pub(crate) fn of_source(why: impl Into<String>) -> Self {
        Self { scope: Scope::Source, why: why.into(), retry_after: None }
    }
}

/// The JSON text that a look-up gives, some time.
pub(crate) type LookUp<'s> = Pin<Box<dyn Future<Output = Finding<String>> + Send + 's>>;

/// Where a directory looks things up: over HTTP, in files, in topics. What comes out is JSON as Ditto's HTTP API has it.
pub(crate) trait Source: fmt::Debug + Send + Sync {
    /// Looks something up. `validator` is what the last answer to the same question came with.
    ///
    /// Cancel safety: whoever has waited for long enough drops the future.
    fn look_up<'s>(&'s self, key: &'s Key, validator: Option<&'s str>) -> LookUp<'s>;

    /// Whether nothing is hidden from it: then what it does not find does not exist.
    fn sees_everything(&self) -> bool;
}
