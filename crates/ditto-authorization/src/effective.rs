//! What a policy says once imports and references are resolved (policies.md §3).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use ditto_json::JsonPointer;
use ditto_protocol::{ErrorCode, PolicyId, PolicyLabel, ResourceKey};

use crate::error::{Place, PolicyError};
use crate::namespace::NamespacePattern;
use crate::policy::{Addition, Entry, Import, Importable, Policy, Reference, Resource};

/// Imports of imports that are followed.
const MAX_IMPORT_DEPTH: usize = 10;
/// Subjects and resources that are taken over by imports and references, in all; beyond, a policy is not usable.
const MAX_WORK: usize = 200_000;

/// An entry with all that it takes over.
#[derive(Debug, Clone, Default)]
pub(crate) struct EffectiveEntry {
    pub(crate) label: String,
    pub(crate) subjects: Vec<(String, Option<SystemTime>)>,
    pub(crate) resources: Vec<(ResourceKey, Permissions)>,
    namespaces: Vec<NamespacePattern>,
    importable: Importable,
    allowed_additions: Option<BTreeSet<Addition>>,
}

/// Names of permissions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Permissions {
    pub(crate) granted: BTreeSet<String>,
    pub(crate) revoked: BTreeSet<String>,
}

impl EffectiveEntry {
    pub(crate) fn is_for(&self, namespace: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|pattern| pattern.matches(namespace))
    }
}

/// Resolves a policy with the policies that `imported` has.
pub(crate) struct Resolver<F> {
    pub(crate) imported: F,
    /// Subjects that expire until then are not there.
    pub(crate) now: SystemTime,
    pub(crate) work: usize,
    /// Imported policies that `imported` does not have.
    pub(crate) missing: BTreeSet<PolicyId>,
    /// What `imported` has answered: each policy is asked for once.
    answers: HashMap<PolicyId, Option<Arc<Policy>>>,
}

impl<F: FnMut(&PolicyId) -> Option<Arc<Policy>>> Resolver<F> {
    pub(crate) fn new(imported: F, now: SystemTime) -> Self {
        Self { imported, now, work: 0, missing: BTreeSet::new(), answers: HashMap::new() }
    }

    /// The entries that count, imported ones under their labels `imported-<policy>-<label>`.
    ///
    /// # Errors
    /// Imports are nested too deep, or more is taken over than the bound.
    pub(crate) fn resolve(&mut self, policy: &Policy) -> Result<Vec<EffectiveEntry>, PolicyError> {
        let visited = HashSet::new();
        let imports: Vec<_> = policy.imports.iter().collect();
        let imported = self.import_all(&imports, 0, &visited)?;
        self.refer(policy, imported)
    }

    fn import_all(
        &mut self,
        imports: &[&Import],
        depth: usize,
        visited: &HashSet<PolicyId>,
    ) -> Result<Vec<EffectiveEntry>, PolicyError> {
        let mut entries = Vec::new();
        for import in imports {
            self.count(1)?;
            let imported = &mut self.imported;
            let answer = self.answers.entry(import.id.clone()).or_insert_with(|| imported(&import.id));
            let Some(policy) = answer.clone() else {
                self.missing.insert(import.id.clone());
                continue;
            };
            entries.extend(self.import(import, &policy, depth, visited)?);
        }
        Ok(entries)
    }

    fn import(
        &mut self,
        import: &Import,
        policy: &Policy,
        depth: usize,
        visited: &HashSet<PolicyId>,
    ) -> Result<Vec<EffectiveEntry>, PolicyError> {
        let transitive: HashSet<_> =
            import.transitive.iter().filter(|id| !visited.contains(*id)).cloned().collect();
        let further: Vec<_> = policy.imports.iter().filter(|it| transitive.contains(&it.id)).collect();
        if !further.is_empty() && depth >= MAX_IMPORT_DEPTH {
            let reason = format!("policies import each other more than {MAX_IMPORT_DEPTH} levels deep");
            let remedy = "remove `transitiveImports` where they form a circle";
            return Err(PolicyError::new(
                ErrorCode::POLICY_IMPORT_INVALID,
                &Place::Root.member("imports"),
                reason,
                remedy,
            ));
        }
        let visited = visited.union(&transitive).cloned().collect();
        let deeper = self.import_all(&further, depth + 1, &visited)?;
        let mut entries = self.refer(policy, deeper)?;
        entries.retain(|entry| match entry.importable {
            Importable::Implicit => true,
            Importable::Explicit => import.entries.contains(&entry.label),
            Importable::Never => false,
        });
        for entry in &mut entries {
            entry.label = imported_label(&import.id, &entry.label);
        }
        Ok(entries)
    }

    /// The entries of `policy` with what they refer to, and those that it imports.
    fn refer(
        &mut self,
        policy: &Policy,
        imported: Vec<EffectiveEntry>,
    ) -> Result<Vec<EffectiveEntry>, PolicyError> {
        let own: HashMap<_, _> = policy.entries.iter().map(|entry| (&entry.label, entry)).collect();
        let by_label: HashMap<_, _> = imported.iter().map(|entry| (entry.label.as_str(), entry)).collect();
        let mut entries = Vec::with_capacity(policy.entries.len() + imported.len());
        for entry in &policy.entries {
            let own_content = self.own(entry)?;
            if entry.references.is_empty() {
                entries.push(own_content);
                continue;
            }
            let mut merged = EffectiveEntry { label: own_content.label.clone(), ..EffectiveEntry::default() };
            merged.importable = own_content.importable;
            let mut seen = HashSet::new();
            let mut places = HashMap::new();
            let mut merge = Merge { into: &mut merged, subjects: &mut seen, resources: &mut places };
            let mut allowed: Option<BTreeSet<Addition>> = None;
            for reference in &entry.references {
                let referenced = match self.referenced(reference, &own, &by_label)? {
                    Some(referenced) if referenced.importable != Importable::Never => referenced,
                    // What cannot be found gives nothing.
                    _ => continue,
                };
                self.count(referenced.subjects.len() + referenced.resources.len())?;
                merge.subjects(&referenced.subjects);
                merge.resources(&referenced.resources);
                merge.namespaces(&referenced.namespaces);
                if let Some(declared) = referenced.allowed_additions {
                    allowed = Some(match allowed {
                        Some(allowed) => allowed.intersection(&declared).copied().collect(),
                        None => declared,
                    });
                }
            }
            let may_add = |addition| allowed.as_ref().is_none_or(|allowed| allowed.contains(&addition));
            if may_add(Addition::Subjects) {
                merge.subjects(&own_content.subjects);
            }
            if may_add(Addition::Resources) {
                merge.resources(&own_content.resources);
            }
            if may_add(Addition::Namespaces) {
                merge.namespaces(&own_content.namespaces);
            }
            merged.allowed_additions = allowed;
            entries.push(merged);
        }
        entries.extend(imported);
        Ok(entries)
    }

    fn referenced(
        &mut self,
        reference: &Reference,
        own: &HashMap<&PolicyLabel, &Entry>,
        imported: &HashMap<&str, &EffectiveEntry>,
    ) -> Result<Option<EffectiveEntry>, PolicyError> {
        match &reference.import {
            Some(id) => {
                let label = imported_label(id, reference.entry.as_str());
                Ok(imported.get(label.as_str()).map(|entry| (*entry).clone()))
            }
            // One level: what that entry refers to is not followed.
            None => own.get(&reference.entry).map(|entry| self.own(entry)).transpose(),
        }
    }

    /// What an entry says itself.
    fn own(&mut self, entry: &Entry) -> Result<EffectiveEntry, PolicyError> {
        self.count(1 + entry.subjects.len() + entry.resources.len())?;
        let is_in_force = |expiry: Option<SystemTime>| expiry.is_none_or(|expiry| expiry > self.now);
        let permissions = |resource: &Resource| Permissions {
            granted: resource.grants.iter().cloned().collect(),
            revoked: resource.revokes.iter().cloned().collect(),
        };
        Ok(EffectiveEntry {
            label: entry.label.to_string(),
            subjects: entry
                .subjects
                .iter()
                .filter(|subject| is_in_force(subject.expiry))
                .map(|subject| (subject.id.as_str().to_owned(), subject.expiry))
                .collect(),
            resources: entry.resources.iter().map(|it| (it.key.clone(), permissions(it))).collect(),
            namespaces: entry.namespaces.clone(),
            importable: entry.importable,
            allowed_additions: entry.allowed_additions.clone(),
        })
    }

    fn count(&mut self, work: usize) -> Result<(), PolicyError> {
        self.work += work;
        if self.work <= MAX_WORK {
            return Ok(());
        }
        let reason = format!("imports and references take over more than {MAX_WORK} subjects and resources");
        Err(PolicyError::new(ErrorCode::POLICY_TOO_LARGE, &Place::Root, reason, "import or refer to less"))
    }
}

fn imported_label(policy: &PolicyId, label: &str) -> String {
    format!("imported-{policy}-{label}")
}

/// What has been taken over: the first of several subjects wins, permissions of one place are united.
struct Merge<'m> {
    into: &'m mut EffectiveEntry,
    subjects: &'m mut HashSet<String>,
    resources: &'m mut HashMap<(String, JsonPointer), usize>,
}

impl Merge<'_> {
    fn subjects(&mut self, subjects: &[(String, Option<SystemTime>)]) {
        for (id, expiry) in subjects {
            if self.subjects.insert(id.clone()) {
                self.into.subjects.push((id.clone(), *expiry));
            }
        }
    }

    fn resources(&mut self, resources: &[(ResourceKey, Permissions)]) {
        for (key, more) in resources {
            let next = self.into.resources.len();
            let at = *self.resources.entry((key.kind().to_owned(), key.path().clone())).or_insert(next);
            match self.into.resources.get_mut(at) {
                Some((_, known)) => {
                    known.granted.extend(more.granted.iter().cloned());
                    known.revoked.extend(more.revoked.iter().cloned());
                }
                None => self.into.resources.push((key.clone(), more.clone())),
            }
        }
    }

    fn namespaces(&mut self, namespaces: &[NamespacePattern]) {
        for pattern in namespaces {
            if !self.into.namespaces.contains(pattern) {
                self.into.namespaces.push(pattern.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
