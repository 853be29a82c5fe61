//! Which targets a signal is for: kind → namespace → granted subject → targets.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ditto_protocol::TargetTopic;

use crate::acknowledge::Ledger;
use crate::counters::add;
use crate::outcome::PassedOver;
use crate::signal::{Audience, RoutedSignal, Unreadable};
use crate::target::{CompiledConnection, CompiledTarget};

/// A target of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TargetRef {
    /// Index of the connection in the lane.
    pub(crate) connection: usize,
    /// Index of the target in the connection's definition.
    pub(crate) target: usize,
}

/// The targets that a signal is for.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Each once, in the order of connections and their definitions.
    pub(crate) targets: Vec<TargetRef>,
    /// Targets whose subjects may read it and that it is not for all the same.
    passed_over: Vec<(TargetRef, PassedOver)>,
}

/// The inverted index of a lane's targets. Cost grows with the targets that match, not with those that exist.
#[derive(Debug)]
pub(crate) struct Router {
    connections: Vec<Arc<CompiledConnection>>,
    /// One for each of [`TargetTopic::ALL`].
    kinds: [KindIndex; TargetTopic::ALL.len()],
}

/// The targets of one kind of signal.
#[derive(Debug, Default)]
struct KindIndex {
    any_namespace: SubjectIndex,
    by_namespace: HashMap<Box<str>, SubjectIndex>,
}

/// Targets by the subjects of their authorization context.
#[derive(Debug, Default)]
struct SubjectIndex {
    /// Signals that were looked for here.
    offered: Arc<AtomicU64>,
    all: Vec<TargetRef>,
    /// Those that get everything.
    stamping: Vec<TargetRef>,
    by_subject: HashMap<Box<str>, Vec<TargetRef>>,
}

impl Router {
    pub(crate) fn new(connections: Vec<Arc<CompiledConnection>>) -> Self {
        let mut kinds: [KindIndex; TargetTopic::ALL.len()] = Default::default();
        for (connection, definition) in connections.iter().enumerate() {
            for (target, compiled) in definition.targets().iter().enumerate() {
                let at = TargetRef { connection, target };
                for subscription in compiled.topics().subscriptions() {
                    let topic = subscription.topic();
                    if let Some(kind) = kinds.get_mut(topic as usize) {
                        kind.add(topic, subscription.namespaces(), compiled, at);
                    }
                }
            }
        }
        Self { connections, kinds }
    }

    /// Whether any target is for the kind and the namespace of `signal`, whoever may read it.
    pub(crate) fn wants(&self, signal: &RoutedSignal) -> bool {
        self.indices(signal).any(|index| !index.all.is_empty())
    }

    /// Has targets know from now on what is counted here for them. To be called by the lane whose index this is.
    pub(crate) fn offer(&self) {
        let mut counts: BTreeMap<TargetRef, Vec<Arc<AtomicU64>>> = BTreeMap::new();
        for kind in &self.kinds {
            let any: HashSet<TargetRef> = kind.any_namespace.all.iter().copied().collect();
            any.iter().for_each(|at| counts.entry(*at).or_default().push(kind.any_namespace.offered.clone()));
            for index in kind.by_namespace.values() {
                // A signal that both have is counted for any namespace.
                let only: HashSet<_> = index.all.iter().filter(|at| !any.contains(*at)).collect();
                only.into_iter().for_each(|at| counts.entry(*at).or_default().push(index.offered.clone()));
            }
        }
        for (at, counts) in counts {
            if let Some(target) = self.target(at) {
                target.counters().offer(counts);
            }
        }
    }

    /// Counts a signal once it was selected for and handed out: what is selected is never more than what was offered.
    pub(crate) fn count(&self, signal: &RoutedSignal, selection: &Selection) {
        for (at, why) in &selection.passed_over {
            if let Some(target) = self.target(*at) {
                target.counters().pass_over(*why);
            }
        }
        for index in self.indices(signal) {
            add(&index.offered);
        }
    }

    /// Selects the targets that `signal` is for.
    pub(crate) fn select(&self, signal: &RoutedSignal, selection: &mut Selection) {
        let Selection { targets, passed_over } = selection;
        targets.clear();
        passed_over.clear();
        let Some(audience) = signal.audience() else { return };
        self.indices(signal).for_each(|index| index.select(audience, targets));
        if targets.len() > 1 {
            // A target with several matching topics or subjects publishes once (outbound.md §2).
            targets.sort_unstable();
            targets.dedup();
        }
        let only = signal.source().and_then(|source| source.only_target());
        targets.retain(|at| {
            if only.is_some_and(|only| only != at.target) {
                return false;
            }
            let (Some(connection), Some(target)) = (self.connections.get(at.connection), self.target(*at))
            else {
                return false;
            };
            let revoked = || signal.is_revoked_for(target).then_some(PassedOver::Revoked);
            match connection.turns_away(signal).or_else(revoked) {
                Some(why) => {
                    passed_over.push((*at, why));
                    false
                }
                None => true,
            }
        });
    }

    /// Those of the signal's kind: for any namespace, and for its own.
    fn indices<'r>(&'r self, signal: &RoutedSignal) -> impl Iterator<Item = &'r SubjectIndex> {
        let kind = signal.signal().target_topic().and_then(|topic| self.kinds.get(topic as usize));
        kind.into_iter().flat_map(move |kind| {
            let entity = (!kind.by_namespace.is_empty()).then(|| signal.signal().entity());
            let own = entity.and_then(|entity| kind.by_namespace.get(entity.namespace()?));
            std::iter::once(&kind.any_namespace).chain(own)
        })
    }

    pub(crate) fn target(&self, at: TargetRef) -> Option<&Arc<CompiledTarget>> {
        self.connections.get(at.connection)?.targets().get(at.target)
    }

    /// The ledger of a signal whose requester wants an acknowledgement that a connection here issues.
    pub(crate) fn ledger(&self, signal: &Arc<RoutedSignal>) -> Option<Box<Ledger>> {
        Ledger::open(signal, &self.connections)
    }
}

impl KindIndex {
    fn add(&mut self, topic: TargetTopic, namespaces: &[String], target: &CompiledTarget, at: TargetRef) {
        // Namespaces have no effect on connection announcements (topics.md §1).
        if namespaces.is_empty() || topic == TargetTopic::ConnectionAnnouncements {
            return self.any_namespace.add(target, at);
        }
        for namespace in namespaces {
            self.by_namespace.entry(namespace.as_str().into()).or_default().add(target, at);
        }
    }
}

impl SubjectIndex {
    fn add(&mut self, target: &CompiledTarget, at: TargetRef) {
        self.all.push(at);
        if target.stamps() {
            self.stamping.push(at);
            return;
        }
        for subject in target.context().subjects() {
            self.by_subject.entry(subject.into()).or_default().push(at);
        }
    }

    fn select(&self, audience: &Audience, selected: &mut Vec<TargetRef>) {
        // Of what nobody can tell nothing can be said.
        if !matches!(audience, Audience::Nobody(Unreadable::PolicyUnknown(_))) {
            selected.extend_from_slice(&self.stamping);
        }
        match audience {
            Audience::OwnConnection => selected.extend_from_slice(&self.all),
            Audience::Nobody(_) => {}
            Audience::Subjects(grants) | Audience::Policy(_, grants) => {
                for subject in grants.readers() {
                    if let Some(targets) = self.by_subject.get(subject) {
                        selected.extend_from_slice(targets);
                    }
                }
            }
        }
    }
}
