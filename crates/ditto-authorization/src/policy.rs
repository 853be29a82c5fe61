//! Policies as they are written (policies.md §1 to §3).

mod parse;

use std::collections::BTreeSet;
use std::time::SystemTime;

use ditto_protocol::{PolicyId, PolicyLabel, ResourceKey, SubjectId};

use crate::namespace::NamespacePattern;

pub(crate) use self::parse::MAX_PATH;

/// A policy: who may do what with a thing, its messages and the policy itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(crate) id: Option<PolicyId>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) imports: Vec<Import>,
}

/// Subjects and what they may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub(crate) label: PolicyLabel,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) namespaces: Vec<NamespacePattern>,
    pub(crate) importable: Importable,
    pub(crate) allowed_additions: Option<BTreeSet<Addition>>,
    pub(crate) references: Vec<Reference>,
}

/// Somebody whom an entry concerns. How deletions are announced is checked and not kept: the policies service does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub(crate) id: SubjectId,
    pub(crate) kind: String,
    pub(crate) expiry: Option<SystemTime>,
}

/// What an entry grants and revokes at a place. Names of permissions are free text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub(crate) key: ResourceKey,
    pub(crate) grants: Vec<String>,
    pub(crate) revokes: Vec<String>,
}

/// Whether policies that import this one get an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Importable {
    /// Always.
    #[default]
    Implicit,
    /// If they name its label.
    Explicit,
    /// Not at all.
    Never,
}

/// What an entry that refers to another one may add of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Addition {
    Subjects,
    Resources,
    Namespaces,
}

/// Another entry whose content an entry takes over: of the policy itself, or of one that it imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) import: Option<PolicyId>,
    pub(crate) entry: PolicyLabel,
}

/// A policy that is imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) id: PolicyId,
    /// Labels of the entries that are imported only if they are named.
    pub(crate) entries: BTreeSet<String>,
    /// Which of its own imports come along.
    pub(crate) transitive: Vec<PolicyId>,
}

impl Policy {
    /// The id, if it is said.
    pub fn id(&self) -> Option<&PolicyId> {
        self.id.as_ref()
    }

    /// The entries in the order of the text, without imported ones.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The policies that it imports itself; [`Enforcer::missing_imports`](crate::Enforcer::missing_imports) says what is
    /// needed beyond.
    pub fn imported_ids(&self) -> impl Iterator<Item = &PolicyId> {
        self.imports.iter().map(|import| &import.id)
    }
}

impl Entry {
    /// The label, unique in its policy.
    pub fn label(&self) -> &PolicyLabel {
        &self.label
    }

    /// The subjects.
    pub fn subjects(&self) -> &[Subject] {
        &self.subjects
    }

    /// The resources.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Who gets it by importing.
    pub fn importable(&self) -> Importable {
        self.importable
    }
}

impl Subject {
    /// The id, compared as text.
    pub fn id(&self) -> &SubjectId {
        &self.id
    }

    /// What kind of subject it is: free text.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// From when on it has no effect.
    pub fn expiry(&self) -> Option<SystemTime> {
        self.expiry
    }
}

impl Resource {
    /// Type and path.
    pub fn key(&self) -> &ResourceKey {
        &self.key
    }

    /// Names of the permissions that are granted.
    pub fn grants(&self) -> &[String] {
        &self.grants
    }

    /// Names of the permissions that are revoked.
    pub fn revokes(&self) -> &[String] {
        &self.revokes
    }
}

#[cfg(test)]
mod tests;
