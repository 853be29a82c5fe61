//! What a directory makes of what it has looked up: who may read a thing, and what it looks like. No I/O and no clock.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ditto_authorization::{Enforcer, Policy};
use ditto_json::{RawObject, decode_string};
use ditto_outbound::DirectoryAnswer;
use ditto_protocol::{Action, Category, EntityKind, PolicyId, Signal};

use super::lookups::{EntryId, Found, LaneId, Lookups, Standing, Want};
use super::source::{Key, Kind};

/// What was looked up.
#[derive(Debug)]
pub(super) enum Fact {
    /// Which policy a thing has; none if its source does not show it.
    PolicyOf { policy: Option<Arc<str>>, revision: Option<i64> },
    /// A thing.
    Thing { text: Arc<str>, revision: Option<i64> },
    /// A policy.
    Policy(PolicyFact),
}

/// A policy, and what was compiled of it.
#[derive(Debug)]
pub(super) struct PolicyFact {
    text: Arc<str>,
    /// None if the text is none that can be understood.
    policy: Option<Arc<Policy>>,
    compiled: Vec<Compiled>,
}

/// A policy for the things of one namespace.
#[derive(Debug)]
struct Compiled {
    namespace: Box<str>,
    /// The imported policies with the versions that went in; those that do not exist have none.
    imports: Arc<[(Arc<str>, Option<u64>)]>,
    /// None if nobody may read by it.
    enforcer: Option<Arc<Enforcer>>,
}

/// A policy that is to be compiled, which takes its time.
#[derive(Debug)]
pub(super) struct ToCompile {
    entry: EntryId,
    id: Box<str>,
    version: u64,
    namespace: Box<str>,
    policy: Arc<Policy>,
    imported: HashMap<PolicyId, Arc<Policy>>,
    imports: Arc<[(Arc<str>, Option<u64>)]>,
}

/// What is known of the policy of a thing.
#[derive(Debug)]
pub(super) enum Policed {
    Answer(DirectoryAnswer<Arc<Enforcer>>),
    /// Everything is known, but not compiled yet: compile it, [`Knowledge::keep`] it, and ask again.
    Compile(Box<ToCompile>),
}

/// What may be made of signals, and how long answers count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// For so long a policy counts.
    pub(super) policy_age: Duration,
    /// For so long it counts which policy a thing has.
    pub(super) thing_age: Duration,
    /// Whether events of the feed are news.
    pub(super) heeds_events: bool,
    /// Whether what the source does not find does not exist.
    pub(super) sees_everything: bool,
}

/// Everything that the lanes' handles share.
#[derive(Debug)]
pub(super) struct Knowledge {
    pub(super) lookups: Lookups<Fact>,
    rules: Rules,
}

/// Who asks, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) lane: LaneId,
    pub(super) thing: &'a str,
    pub(super) now: Instant,
    pub(super) clock: SystemTime,
}

/// Namespaces for which a policy is kept compiled.
const MAX_NAMESPACES: usize = 64;

impl Fact {
    /// What the JSON text of an answer says.
    pub(super) fn read(key: &Key, text: String) -> Self {
        let text: Arc<str> = text.into();
        let member = |name| RawObject::new(&text).member(name);
        let revision = || member("_revision").and_then(|revision| revision.parse().ok());
        match key.kind {
            Kind::PolicyOf => {
                let policy = member("policyId").and_then(decode_string).filter(|id| !id.is_empty());
                Self::PolicyOf { policy: policy.map(|id| id.as_ref().into()), revision: revision() }
            }
            Kind::Thing => Self::Thing { revision: revision(), text },
            Kind::Policy => {
                let policy = text.parse::<Policy>();
                if let Err(why) = &policy {
                    tracing::warn!(policy = &*key.id, %why, "policy cannot be understood: nobody may read by it");
                }
                Self::Policy(PolicyFact { policy: policy.ok().map(Arc::new), text, compiled: Vec::new() })
            }
        }
    }

    fn policy(&self) -> Option<&PolicyFact> {
        if let Self::Policy(policy) = self { Some(policy) } else { None }
    }
}

impl Found for Fact {
    fn weight(&self) -> usize {
        match self {
            Self::PolicyOf { policy, .. } => policy.as_ref().map_or(0, |policy| policy.len()),
            Self::Thing { text, .. } => text.len(),
            // The text, the policy made of it, and what is compiled.
            Self::Policy(policy) => policy.text.len() * 8,
        }
    }

    fn revision(&self) -> Option<i64> {
        match self {
            Self::PolicyOf { revision, .. } | Self::Thing { revision, .. } => *revision,
            Self::Policy(_) => None,
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        // Of a thing the revision counts, too.
        matches!((self, other), (Self::Policy(own), Self::Policy(other)) if own.text == other.text)
    }
}

impl ToCompile {
    /// Compiles it. What cannot be compiled grants nothing.
    pub(super) fn compile(&self, clock: SystemTime) -> Option<Arc<Enforcer>> {
        let imported = |id: &PolicyId| self.imported.get(id).cloned();
        Enforcer::compile(&self.policy, Some(&self.namespace), clock, imported)
            .inspect_err(|why| {
                tracing::warn!(policy = &*self.id, %why, "policy cannot be compiled: nobody may read by it");
            })
            .ok()
            .map(Arc::new)
    }
}

impl Knowledge {
    pub(super) fn new(lookups: Lookups<Fact>, rules: Rules) -> Self {
        Self { lookups, rules }
    }

    /// The policy of the thing that a signal is about.
    pub(super) fn enforcer(&mut self, signal: &Signal, asker: &Asker<'_>) -> Policed {
        let want = Want {
            lane: asker.lane,
            thing: asker.thing,
            max_age: Some(self.rules.thing_age),
            at_least: None,
        };
        let (entry, standing) = self.lookups.ask(Kind::PolicyOf, asker.thing, &want, asker.now);
        let deletes = is_deletion(signal);
        if standing == Standing::Absent && !deletes {
            return Policed::Answer(DirectoryAnswer::Absent);
        }
        let last = match self.lookups.found(entry) {
            Some(Fact::PolicyOf { policy, .. }) => policy.clone(),
            _ => None,
        };
        match (standing, last) {
            (Standing::Pending, last) => {
                // Asked at the same time: one after the other may take longer than an answer counts.
                if let Some(policy) = last {
                    self.policy(&policy, signal, deletes, asker);
                }
                Policed::Answer(DirectoryAnswer::Pending)
            }
            (_, Some(policy)) => self.policy(&policy, signal, deletes, asker),
            (_, None) => Policed::Answer(DirectoryAnswer::Absent),
        }
    }

    fn policy(&mut self, id: &str, signal: &Signal, deletes: bool, asker: &Asker<'_>) -> Policed {
        const PENDING: Policed = Policed::Answer(DirectoryAnswer::Pending);
        const ABSENT: Policed = Policed::Answer(DirectoryAnswer::Absent);
        let namespace = signal.entity().namespace().unwrap_or_default();
        let (entry, standing) = self.ask_policy(id, asker);
        if standing == Standing::Absent && !deletes {
            return ABSENT;
        }
        let Some(fact) = self.lookups.found(entry).and_then(Fact::policy) else {
            return if standing == Standing::Pending { PENDING } else { ABSENT };
        };
        let Some(policy) = fact.policy.clone() else {
            return if standing == Standing::Pending { PENDING } else { ABSENT };
        };
        let compiled = fact.compiled.iter().find(|compiled| *compiled.namespace == *namespace);
        let compiled = compiled.map(|compiled| (compiled.imports.clone(), compiled.enforcer.clone()));
        if let Some((imports, enforcer)) = compiled {
            match self.imports_stand(&imports, asker) {
                _ if standing == Standing::Pending => return PENDING,
                Standing::Pending => return PENDING,
                Standing::Known => {
                    let expires_at = enforcer.as_ref().and_then(|enforcer| enforcer.expires_at());
                    if expires_at.is_none_or(|expires_at| asker.clock < expires_at) {
                        return Policed::Answer(
                            enforcer.map_or(DirectoryAnswer::Absent, DirectoryAnswer::Known),
                        );
                    }
                }
                // One of them is another one than the one that went in.
                Standing::Absent => {}
            }
        }
        if standing == Standing::Pending {
            return PENDING;
        }
        self.gather(entry, id, policy, namespace, asker)
    }

    fn ask_policy(&mut self, id: &str, asker: &Asker<'_>) -> (EntryId, Standing) {
        let max_age = Some(self.rules.policy_age);
        let want = Want { lane: asker.lane, thing: asker.thing, max_age, at_least: None };
        self.lookups.ask(Kind::Policy, id, &want, asker.now)
    }

    /// Whether the imported policies are still those that went in (`Known`), or not any more (`Absent`).
    fn imports_stand(&mut self, imports: &[(Arc<str>, Option<u64>)], asker: &Asker<'_>) -> Standing {
        let (mut is_pending, mut is_same) = (false, true);
        // All of them, so that all are asked for at once.
        for (id, version) in imports {
            let (entry, standing) = self.ask_policy(id, asker);
            match standing {
                Standing::Pending => is_pending = true,
                Standing::Absent => is_same &= version.is_none(),
                Standing::Known => is_same &= version.is_some() && *version == self.lookups.version(entry),
            }
        }
        match (is_pending, is_same) {
            (true, _) => Standing::Pending,
            (false, true) => Standing::Known,
            (false, false) => Standing::Absent,
        }
    }

    /// Asks for what a policy imports, and says what to compile once all of it is there.
    fn gather(
        &mut self,
        entry: EntryId,
        policy_id: &str,
        policy: Arc<Policy>,
        namespace: &str,
        asker: &Asker<'_>,
    ) -> Policed {
        const PENDING: Policed = Policed::Answer(DirectoryAnswer::Pending);
        const ABSENT: Policed = Policed::Answer(DirectoryAnswer::Absent);
        let mut imported: HashMap<PolicyId, Arc<Policy>> = HashMap::new();
        let mut imports: Vec<(Arc<str>, Option<u64>)> = Vec::new();
        loop {
            let Ok(missing) = Enforcer::missing_imports(&policy, |id| imported.get(id).cloned()) else {
                return self.refuse(entry, namespace, imports);
            };
            let (mut is_new, mut is_pending) = (false, false);
            for id in missing {
                if imports.iter().any(|(known, _)| **known == *id.as_str()) {
                    continue;
                }
                let (of_import, standing) = self.ask_policy(id.as_str(), asker);
                match standing {
                    Standing::Pending => is_pending = true,
                    // It may be there, hidden from us, and revoke something.
                    Standing::Absent if !self.rules.sees_everything => {
                        tracing::warn!(
                            policy = policy_id,
                            import = id.as_str(),
                            "an imported policy is not there, or hidden from the directory: nobody may read by it"
                        );
                        imports.push((id.as_str().into(), None));
                        return self.refuse(entry, namespace, imports);
                    }
                    Standing::Absent => imports.push((id.as_str().into(), None)),
                    Standing::Known => {
                        let version = self.lookups.version(of_import);
                        let fact = self.lookups.found(of_import).and_then(Fact::policy);
                        imports.push((id.as_str().into(), version));
                        let Some(policy) = fact.and_then(|fact| fact.policy.clone()) else {
                            return self.refuse(entry, namespace, imports);
                        };
                        imported.insert(id, policy);
                        is_new = true;
                    }
                }
            }
            match (is_pending, is_new) {
                (true, _) => return PENDING,
                (false, true) => {}
                (false, false) => break,
            }
        }
        let Some(version) = self.lookups.version(entry) else { return ABSENT };
        let (namespace, imports) = (namespace.into(), imports.into());
        let id = policy_id.into();
        Policed::Compile(Box::new(ToCompile { entry, id, version, namespace, policy, imported, imports }))
    }

    /// Nobody may read by a policy, as long as it and what it imports are as they are.
    fn refuse(&mut self, entry: EntryId, namespace: &str, imports: Vec<(Arc<str>, Option<u64>)>) -> Policed {
        self.store(entry, Compiled { namespace: namespace.into(), imports: imports.into(), enforcer: None });
        Policed::Answer(DirectoryAnswer::Absent)
    }

    /// Keeps what was compiled, unless the policy has changed meanwhile.
    pub(super) fn keep(&mut self, compiled: ToCompile, enforcer: Option<Arc<Enforcer>>) {
        let ToCompile { entry, version, namespace, imports, .. } = compiled;
        if self.lookups.version(entry) == Some(version) {
            self.store(entry, Compiled { namespace, imports, enforcer });
        }
    }

    fn store(&mut self, entry: EntryId, new: Compiled) {
        let Some(Fact::Policy(fact)) = self.lookups.found_mut(entry) else { return };
        fact.compiled.retain(|compiled| compiled.namespace != new.namespace);
        if fact.compiled.len() >= MAX_NAMESPACES {
            fact.compiled.remove(0);
        }
        fact.compiled.push(new);
    }

    /// The thing that a signal is about.
    pub(super) fn thing(&mut self, signal: &Signal, asker: &Asker<'_>) -> DirectoryAnswer<Arc<str>> {
        let is_event = signal.category() == Category::Event && !signal.is_live();
        let at_least = signal.revision().filter(|_| is_event);
        // What is as new as the signal need not be newer.
        let max_age = at_least.is_none().then_some(self.rules.thing_age);
        let want = Want { lane: asker.lane, thing: asker.thing, max_age, at_least };
        let (entry, standing) = self.lookups.ask(Kind::Thing, asker.thing, &want, asker.now);
        match (standing, self.lookups.found(entry)) {
            (Standing::Known, Some(Fact::Thing { text, .. })) => DirectoryAnswer::Known(text.clone()),
            // What goes with the deletion is the last that was known.
            (Standing::Absent, Some(Fact::Thing { text, .. })) if is_deletion(signal) => {
                DirectoryAnswer::Known(text.clone())
            }
            (Standing::Pending, _) => DirectoryAnswer::Pending,
            _ => DirectoryAnswer::Absent,
        }
    }

    /// An event is news where it says that something is not any more as it was known: then it is asked for again. What it
    /// says is never taken for an answer.
    pub(super) fn observe(&mut self, signal: &Signal, thing: &str) {
        if !self.rules.heeds_events || !is_twin_event(signal) {
            return;
        }
        let (Some(action), path, revision) =
            (signal.topic_path().action, signal.resource_path(), signal.revision())
        else {
            return;
        };
        let creates = matches!(action, Action::Created) && path == "/";
        let deletes = is_deletion(signal);
        if creates || deletes {
            self.hear_of(Kind::Thing, thing, revision, false);
        }
        let policy = match &*path {
            "/" if !deletes => signal.value().and_then(|value| RawObject::new(value).member("policyId")),
            "/policyId" => signal.value(),
            _ if deletes => None,
            _ => return,
        };
        let policy = policy.and_then(decode_string);
        if policy.is_none() && matches!(action, Action::Merged) {
            // What a patch does not name stays.
            return;
        }
        if creates && let Some(policy) = &policy {
            // It was made for this thing, perhaps.
            if let Some((entry, Some(false))) = self.lookups.look(Kind::Policy, policy) {
                self.lookups.invalidate(entry, None, false);
            }
        }
        if let Some((entry, Some(true))) = self.lookups.look(Kind::PolicyOf, thing)
            && let Some(Fact::PolicyOf { policy: Some(known), .. }) = self.lookups.found(entry)
            && policy.as_deref() == Some(&**known)
        {
            return;
        }
        self.hear_of(Kind::PolicyOf, thing, revision, !deletes);
    }

    /// Asks again for what may have changed, unless what is known is newer than that.
    fn hear_of(&mut self, kind: Kind, thing: &str, revision: Option<i64>, forget: bool) {
        let Some((entry, is_there)) = self.lookups.look(kind, thing) else { return };
        let known = self.lookups.found(entry).and_then(Found::revision).filter(|_| is_there == Some(true));
        if known.is_none() || revision.is_none() || known < revision {
            self.lookups.invalidate(entry, revision, forget);
        }
    }
}

fn is_twin_event(signal: &Signal) -> bool {
    signal.category() == Category::Event && !signal.is_live() && signal.entity().kind() == EntityKind::Thing
}

/// Whether a signal says that its thing is gone.
fn is_deletion(signal: &Signal) -> bool {
    is_twin_event(signal)
        && matches!(signal.topic_path().action, Some(Action::Deleted))
        && signal.resource_path() == "/"
}

#[cfg(test)]
mod tests;
