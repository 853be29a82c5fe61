//! A policy, compiled.

mod explain;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::SystemTime;

use ditto_protocol::{Category, EntityKind, PolicyId, ResourceKey, Signal};

pub use self::explain::Reason;
use crate::context::AuthorizationContext;
use crate::effective::{EffectiveEntry, Resolver};
use crate::error::PolicyError;
use crate::grants::{Decision, Grants};
use crate::policy::Policy;
use crate::rules::{Entries, Node, Permission, Rules, Word};
use crate::view::{self, ALWAYS_READABLE, Access, View};

/// Decides by a policy, for things of one namespace, from one moment until [`Self::expires_at`]. What it decides
/// never changes; share it behind an [`Arc`].
pub struct Enforcer {
    entries: Vec<EffectiveEntry>,
    rules: Rules,
    /// For each subject the group it is in.
    subjects: HashMap<Box<str>, u32>,
    groups: Vec<Group>,
    read: Option<Permission>,
    expires_at: Option<SystemTime>,
    /// What one of several groups may see.
    unions: RwLock<HashMap<Vec<u32>, View>>,
    /// What contexts get of a thing beside a signal, by their entries.
    enrichments: RwLock<HashMap<Entries, View>>,
    /// Who may read events of the thing.
    event_grants: OnceLock<Arc<Grants>>,
}

/// Subjects of the same entries: what one of them may, all may.
#[derive(Debug)]
struct Group {
    entries: Entries,
    /// What each of them may see of a thing; made when the first one asks.
    view: OnceLock<View>,
}

/// The permission to read.
const READ: &str = "READ";
/// Most views of contexts of either kind that are remembered.
const MAX_VIEWS: usize = 1024;

impl Enforcer {
    /// Compiles a policy. `namespace` is that of the thing: entries for other namespaces do not count; `None` means that
    /// it does not matter. `now` is the moment from which on it is to decide: subjects that have expired by then have no
    /// effect. `imported` gives the policies that are imported; one that it does not have is left out, as in the
    /// reference, so ask [`Self::missing_imports`] before.
    ///
    /// # Errors
    /// Imports are nested too deep, or what they and references take over is past a bound.
    pub fn compile(
        policy: &Policy,
        namespace: Option<&str>,
        now: SystemTime,
        imported: impl FnMut(&PolicyId) -> Option<Arc<Policy>>,
    ) -> Result<Self, PolicyError> {
        let mut entries = Resolver::new(imported, now).resolve(policy)?;
        entries.retain(|entry| namespace.is_none_or(|namespace| entry.is_for(namespace)));
        let mut rules = Rules::default();
        let mut of_subjects: HashMap<&str, Entries> = HashMap::new();
        for (number, entry) in (0_u32..).zip(&entries) {
            for (key, permissions) in &entry.resources {
                rules.add(number, key, permissions);
            }
            for (subject, _) in &entry.subjects {
                let entries = of_subjects.entry(subject).or_default();
                if entries.last() != Some(&number) {
                    entries.push(number);
                }
            }
        }
        rules.finish();
        let mut numbers: HashMap<Entries, u32> = HashMap::new();
        let mut groups = Vec::new();
        let mut subjects = HashMap::with_capacity(of_subjects.len());
        for (subject, entries) in of_subjects {
            let next = u32::try_from(groups.len()).unwrap_or(u32::MAX);
            let number = *numbers.entry(entries).or_insert_with_key(|entries| {
                groups.push(Group { entries: entries.clone(), view: OnceLock::new() });
                next
            });
            subjects.insert(subject.into(), number);
        }
        let expires_at = entries.iter().flat_map(|it| &it.subjects).filter_map(|(_, expiry)| *expiry).min();
        Ok(Self {
            read: rules.permission(READ),
            entries,
            rules,
            subjects,
            groups,
            expires_at,
            unions: RwLock::default(),
            enrichments: RwLock::default(),
            event_grants: OnceLock::new(),
        })
    }

    /// Which imported policies, imports of imports included, `imported` does not have. With some of them there, more may
    /// be missing: ask again.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn missing_imports(
        policy: &Policy,
        imported: impl FnMut(&PolicyId) -> Option<Arc<Policy>>,
    ) -> Result<BTreeSet<PolicyId>, PolicyError> {
        let mut resolver = Resolver::new(imported, SystemTime::UNIX_EPOCH);
        resolver.resolve(policy)?;
        Ok(resolver.missing)
    }

    /// When the next subject expires: from then on the policy must be compiled again.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Whether a context may do all of this at a place and everywhere below it.
    pub fn has_unrestricted(
        &self,
        context: &AuthorizationContext,
        resource: &ResourceKey,
        permissions: &[&str],
    ) -> bool {
        let entries = self.entries_of(context.subjects());
        self.all(permissions, |permission| self.is_unrestricted(&entries, resource, permission))
    }

    /// Whether a context may do all of this at a place or somewhere below it.
    pub fn has_partial(
        &self,
        context: &AuthorizationContext,
        resource: &ResourceKey,
        permissions: &[&str],
    ) -> bool {
        let groups: Vec<_> = context.subjects().filter_map(|subject| self.group(subject)).collect();
        let entries = self.entries_of(context.subjects());
        self.all(permissions, |permission| {
            let (word, node) = self.word(&entries, resource.kind(), resource.path().segments(), permission);
            // A grant below that the same subject has revoked at that place is none; another's revoke is no matter.
            let is_below = |node: &Node| {
                groups.iter().any(|group| self.rules.is_granted_below(node, permission, &group.entries))
            };
            word == Word::Granted || node.is_some_and(is_below)
        })
    }

    /// The subjects that may do all of this at a place and everywhere below it, each by itself, sorted.
    pub fn subjects_with_unrestricted(&self, resource: &ResourceKey, permissions: &[&str]) -> Vec<&str> {
        self.subjects_where(|entries| {
            self.all(permissions, |permission| self.is_unrestricted(entries, resource, permission))
        })
    }

    /// The subjects that may do all of this at a place or somewhere below it, each by itself, sorted.
    pub fn subjects_with_partial(&self, resource: &ResourceKey, permissions: &[&str]) -> Vec<&str> {
        self.subjects_where(|entries| {
            self.all(permissions, |permission| {
                let (word, node) =
                    self.word(entries, resource.kind(), resource.path().segments(), permission);
                word == Word::Granted
                    || node.is_some_and(|node| self.rules.is_granted_below(node, permission, entries))
            })
        })
    }

    /// The subjects to which all of this is granted at a place, and those to which all of it is revoked there, each by
    /// itself, sorted. What is said below does not matter.
    pub fn subjects_effected(&self, resource: &ResourceKey, permissions: &[&str]) -> (Vec<&str>, Vec<&str>) {
        let with = |wanted| {
            self.subjects_where(|entries| {
                self.all(permissions, |permission| {
                    self.word(entries, resource.kind(), resource.path().segments(), permission).0 == wanted
                })
            })
        };
        (with(Word::Granted), with(Word::Revoked))
    }

    /// What of a thing one of a context's subjects may see, each by itself: that is what it gets of events.
    pub fn view(&self, context: &AuthorizationContext) -> View {
        let mut parts = Vec::new();
        for number in context.subjects().filter_map(|subject| self.subjects.get(subject)) {
            let Some(view) = self.groups.get(*number as usize).map(|group| self.view_of(group)) else {
                continue;
            };
            match view.access() {
                Access::Whole => return view.clone(),
                Access::Part => parts.push((*number, view)),
                Access::Nothing => {}
            }
        }
        match parts.as_slice() {
            [] => View::nothing(),
            [(_, view)] => (*view).clone(),
            _ => self.union(&parts),
        }
    }

    /// What one of several groups may see. Contexts are those of targets: they come again with each event.
    fn union(&self, parts: &[(u32, &View)]) -> View {
        let numbers = parts.iter().map(|(number, _)| *number).collect();
        remembered(&self.unions, numbers, |_| {
            parts.iter().fold(View::nothing(), |view, (_, part)| view.union(part))
        })
    }

    /// What a context's subjects get together when they retrieve a thing: what is revoked to one of them is revoked to
    /// all, unless it is granted again further below. Never more than [`Self::view`], but for members that are always
    /// readable. The thing's id is not in it by itself; see [`View::keeping`].
    pub fn retrieval_view(&self, context: &AuthorizationContext) -> View {
        self.view_of_entries(&self.entries_of(context.subjects()))
    }

    /// [`Self::retrieval_view`] with the thing's id: what a context gets of its thing beside a signal (policies.md §7).
    pub fn enrichment_view(&self, context: &AuthorizationContext) -> View {
        remembered(&self.enrichments, self.entries_of(context.subjects()), |entries| {
            self.view_of_entries(entries).keeping(&["thingId"])
        })
    }

    /// Who may read a signal of the thing, or of its messages.
    pub fn grants(&self, signal: &Signal) -> Arc<Grants> {
        match self.kind(signal) {
            Kind::Event => self.event_grants.get_or_init(|| Arc::new(self.grants_of_events())).clone(),
            Kind::Effected(kind) => Arc::new(self.grants_of_effected(kind, &signal.resource_path())),
            Kind::Other => Arc::default(),
        }
    }

    /// Whether a context may read a signal of the thing, or of its messages. An event is denied, too, where nothing at
    /// its path may be read.
    pub fn decide(&self, context: &AuthorizationContext, signal: &Signal) -> Decision {
        match self.kind(signal) {
            Kind::Event => {
                let view = self.view(context);
                match (view.access(), view.access_at(signal.path())) {
                    (Access::Whole, _) => Decision::Granted,
                    (_, Access::Nothing) => Decision::Denied,
                    _ => Decision::Restricted(view),
                }
            }
            Kind::Effected(kind) => {
                let path = signal.resource_path();
                let mut decision = Decision::Denied;
                for group in context.subjects().filter_map(|subject| self.group(subject)) {
                    match self.read_word(&group.entries, kind, &path) {
                        Word::Revoked => return Decision::Denied,
                        Word::Granted => decision = Decision::Granted,
                        Word::Silent => {}
                    }
                }
                decision
            }
            Kind::Other => Decision::Denied,
        }
    }

    fn kind(&self, signal: &Signal) -> Kind {
        match signal.category() {
            _ if signal.entity().kind() != EntityKind::Thing => Kind::Other,
            _ if signal.is_message() => Kind::Effected("message"),
            Category::Event if signal.resource_type() == "thing" => Kind::Event,
            // Responses, errors and acknowledgements go to who has asked.
            Category::Command if signal.is_live() && signal.resource_type() == "thing" => {
                Kind::Effected("thing")
            }
            _ => Kind::Other,
        }
    }

    fn grants_of_events(&self) -> Grants {
        let mut grants = Grants::default();
        let mut subjects: Vec<_> = self.subjects.iter().collect();
        subjects.sort_unstable();
        for (subject, group) in subjects {
            let Some(group) = self.groups.get(*group as usize) else { continue };
            let view = self.view_of(group);
            if view.access() != Access::Nothing {
                grants.read.push(subject.clone());
            }
            if view.access() == Access::Part {
                grants.restricted.insert(subject.clone(), view.clone());
            }
        }
        grants
    }

    fn grants_of_effected(&self, kind: &str, path: &str) -> Grants {
        let with = |wanted| {
            let subjects = self.subjects_where(|entries| self.read_word(entries, kind, path) == wanted);
            subjects.into_iter().map(Into::into).collect()
        };
        Grants { read: with(Word::Granted), revoked: with(Word::Revoked), ..Grants::default() }
    }

    fn read_word(&self, entries: &[u32], kind: &str, path: &str) -> Word {
        self.read.map_or(Word::Silent, |read| self.word(entries, kind, view::segments(path), read).0)
    }

    fn group(&self, subject: &str) -> Option<&Group> {
        self.groups.get(*self.subjects.get(subject)? as usize)
    }

    /// The entries of all these subjects together.
    fn entries_of<'s>(&self, subjects: impl Iterator<Item = &'s str>) -> Entries {
        let mut entries = Entries::new();
        for group in subjects.filter_map(|subject| self.group(subject)) {
            entries.extend_from_slice(&group.entries);
        }
        entries.sort_unstable();
        entries.dedup();
        entries
    }

    fn subjects_where(&self, holds: impl Fn(&[u32]) -> bool) -> Vec<&str> {
        let held: Vec<_> = self.groups.iter().map(|group| holds(&group.entries)).collect();
        let holds = |group: u32| held.get(group as usize).copied().unwrap_or_default();
        let mut subjects: Vec<_> =
            self.subjects.iter().filter(|(_, group)| holds(**group)).map(|(subject, _)| &**subject).collect();
        subjects.sort_unstable();
        subjects
    }

    /// Whether it holds for all permissions; asking for none is asking for nothing.
    fn all(&self, permissions: &[&str], mut holds: impl FnMut(Permission) -> bool) -> bool {
        let mut holds = |name: &&str| self.rules.permission(name).is_some_and(&mut holds);
        !permissions.is_empty() && permissions.iter().all(&mut holds)
    }

    /// The last word at or above a place, and the node there.
    fn word<S: AsRef<str>>(
        &self,
        entries: &[u32],
        kind: &str,
        path: impl IntoIterator<Item = S>,
        permission: Permission,
    ) -> (Word, Option<&Node>) {
        let mut last = Word::Silent;
        let node = self.rules.walk(kind, path, |node| match node.word(permission, entries) {
            Word::Silent => {}
            word => last = word,
        });
        (last, node)
    }

    fn is_unrestricted(&self, entries: &[u32], resource: &ResourceKey, permission: Permission) -> bool {
        let (word, node) = self.word(entries, resource.kind(), resource.path().segments(), permission);
        word == Word::Granted && !node.is_some_and(|node| node.is_revoked_below(permission, entries))
    }

    fn view_of<'e>(&'e self, group: &'e Group) -> &'e View {
        group.view.get_or_init(|| self.view_of_entries(&group.entries).keeping(&ALWAYS_READABLE))
    }

    fn view_of_entries(&self, entries: &[u32]) -> View {
        match (self.read, self.rules.root("thing")) {
            (Some(read), Some(root)) => View::of(self.seen(root, read, entries, false)),
            _ => View::nothing(),
        }
    }

    /// What is seen at a node and below. Paths of resources are bounded, so this is not deep.
    fn seen(&self, node: &Node, read: Permission, entries: &[u32], is_readable_above: bool) -> view::Node {
        let is_readable = match node.word(read, entries) {
            Word::Granted => true,
            Word::Revoked => false,
            Word::Silent => is_readable_above,
        };
        let mut seen = view::Node::leaf(is_readable);
        for (name, below) in &node.children {
            if let Some(below) = self.rules.node(*below).filter(|below| below.concerns(read, entries)) {
                seen.set(name, self.seen(below, read, entries, is_readable));
            }
        }
        seen
    }
}

/// The view that is remembered for `key`, else the one that `make` makes.
fn remembered<K: Eq + Hash>(views: &RwLock<HashMap<K, View>>, key: K, make: impl FnOnce(&K) -> View) -> View {
    if let Some(known) = views.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return known.clone();
    }
    let view = make(&key);
    let mut views = views.write().unwrap_or_else(PoisonError::into_inner);
    if views.len() >= MAX_VIEWS {
        views.clear();
    }
    views.insert(key, view.clone());
    view
}

/// What decides about a signal.
enum Kind {
    /// The views of subjects.
    Event,
    /// What is said at its path of a type of resource.
    Effected(&'static str),
    /// Nothing in the policy of a thing.
    Other,
}

impl fmt::Debug for Enforcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enforcer")
            .field("entries", &self.entries.len())
            .field("subjects", &self.subjects.len())
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
