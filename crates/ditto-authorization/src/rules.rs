//! The rules of a policy as a trie over places. What a node costs depends on what is said there, not on the policy.

use std::collections::{BTreeMap, HashMap};

use ditto_protocol::ResourceKey;

use crate::effective::Permissions;

/// Sorted numbers of entries.
pub(crate) type Entries = Vec<u32>;

/// Whether two sorted lists have anything in common.
pub(crate) fn overlap(a: &[u32], b: &[u32]) -> bool {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    few.iter().any(|entry| many.binary_search(entry).is_ok())
}

/// What is said about one permission at one place.
#[derive(Debug, Default)]
pub(crate) struct Rule {
    pub(crate) granted: Entries,
    pub(crate) revoked: Entries,
    /// Of all places strictly below.
    granted_below: Entries,
    revoked_below: Entries,
    /// Whether one of those places is granted by an entry and revoked by another: then it matters who asks.
    is_disputed_below: bool,
}

/// The last word on a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    Granted,
    Revoked,
    Silent,
}

impl Rule {
    /// What a context with these entries is told here; a revoke wins.
    pub(crate) fn word(&self, entries: &[u32]) -> Word {
        if overlap(&self.revoked, entries) {
            Word::Revoked
        } else if overlap(&self.granted, entries) {
            Word::Granted
        } else {
            Word::Silent
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) children: HashMap<Box<str>, u32>,
    parent: Option<u32>,
    rules: BTreeMap<u32, Rule>,
}

/// Number of a permission's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Permission(u32);

/// All rules.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    nodes: Vec<Node>,
    /// Root of each type of resource.
    roots: HashMap<Box<str>, u32>,
    permissions: HashMap<Box<str>, u32>,
}

impl Rules {
    /// Adds what an entry says; entries come in the order of their numbers.
    pub(crate) fn add(&mut self, entry: u32, key: &ResourceKey, permissions: &Permissions) {
        let mut at = match self.roots.get(key.kind()) {
            Some(root) => *root,
            None => {
                let root = self.push(None);
                self.roots.insert(key.kind().into(), root);
                root
            }
        };
        let mut above = Vec::with_capacity(key.path().segments().len());
        for segment in key.path().segments() {
            above.push(at);
            at = self.below(at, segment);
        }
        for (names, is_grant) in [(&permissions.granted, true), (&permissions.revoked, false)] {
            for name in names {
                let permission = self.number(name);
                let list = |rule: &mut Rule, entries: fn(&mut Rule) -> &mut Entries| {
                    let entries = entries(rule);
                    if entries.last() != Some(&entry) {
                        entries.push(entry);
                    }
                };
                if let Some(rule) = self.rule_mut(at, permission) {
                    list(rule, if is_grant { |it| &mut it.granted } else { |it| &mut it.revoked });
                }
                for node in &above {
                    if let Some(rule) = self.rule_mut(*node, permission) {
                        list(
                            rule,
                            if is_grant { |it| &mut it.granted_below } else { |it| &mut it.revoked_below },
                        );
                    }
                }
            }
        }
    }

    /// All entries have been added.
    pub(crate) fn finish(&mut self) {
        // Nodes stand behind their parents.
        for at in (0..self.nodes.len()).rev() {
            let Some(node) = self.nodes.get(at) else { continue };
            let Some(parent) = node.parent else { continue };
            let is_disputed =
                |rule: &Rule| rule.is_disputed_below || !rule.granted.is_empty() && !rule.revoked.is_empty();
            let disputed: Vec<_> = node
                .rules
                .iter()
                .filter(|(_, rule)| is_disputed(rule))
                .map(|(permission, _)| *permission)
                .collect();
            for permission in disputed {
                if let Some(rule) = self.rule_mut(parent, permission) {
                    rule.is_disputed_below = true;
                }
            }
        }
    }

    fn push(&mut self, parent: Option<u32>) -> u32 {
        let next = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(Node { parent, ..Node::default() });
        next
    }

    fn below(&mut self, at: u32, segment: &str) -> u32 {
        if let Some(known) = self.nodes.get(at as usize).and_then(|node| node.children.get(segment)) {
            return *known;
        }
        let next = self.push(Some(at));
        if let Some(node) = self.nodes.get_mut(at as usize) {
            node.children.insert(segment.into(), next);
        }
        next
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(known) = self.permissions.get(name) {
            return *known;
        }
        let next = u32::try_from(self.permissions.len()).unwrap_or(u32::MAX);
        self.permissions.insert(name.into(), next);
        next
    }

    fn rule_mut(&mut self, at: u32, permission: u32) -> Option<&mut Rule> {
        self.nodes.get_mut(at as usize).map(|node| node.rules.entry(permission).or_default())
    }

    /// `None` if the policy does not name it.
    pub(crate) fn permission(&self, name: &str) -> Option<Permission> {
        self.permissions.get(name).copied().map(Permission)
    }

    pub(crate) fn root(&self, kind: &str) -> Option<&Node> {
        self.node(*self.roots.get(kind)?)
    }

    pub(crate) fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    pub(crate) fn child(&self, node: &Node, segment: &str) -> Option<&Node> {
        self.node(*node.children.get(segment)?)
    }

    /// The node at a path, or `None` if nothing is said there or below; and each node on the way is shown.
    pub(crate) fn walk<'r, S: AsRef<str>>(
        &'r self,
        kind: &str,
        path: impl IntoIterator<Item = S>,
        mut visit: impl FnMut(&'r Node),
    ) -> Option<&'r Node> {
        let mut node = self.root(kind)?;
        visit(node);
        for segment in path {
            node = self.child(node, segment.as_ref())?;
            visit(node);
        }
        Some(node)
    }

    /// Whether anything strictly below is effectively granted to one subject with these entries.
    pub(crate) fn is_granted_below(&self, node: &Node, permission: Permission, entries: &[u32]) -> bool {
        let Some(rule) = node.rule(permission) else { return false };
        if !overlap(&rule.granted_below, entries) {
            return false;
        }
        if !rule.is_disputed_below {
            return true;
        }
        let mut open: Vec<_> = node.children.values().collect();
        while let Some(node) = open.pop().and_then(|at| self.node(*at)) {
            let Some(rule) = node.rule(permission) else { continue };
            if rule.word(entries) == Word::Granted {
                return true;
            }
            if overlap(&rule.granted_below, entries) {
                open.extend(node.children.values());
            }
        }
        false
    }
}

impl Node {
    pub(crate) fn rule(&self, permission: Permission) -> Option<&Rule> {
        self.rules.get(&permission.0)
    }

    /// What a context with these entries is told here.
    pub(crate) fn word(&self, permission: Permission, entries: &[u32]) -> Word {
        self.rule(permission).map_or(Word::Silent, |rule| rule.word(entries))
    }

    /// Whether anything strictly below is revoked to it.
    pub(crate) fn is_revoked_below(&self, permission: Permission, entries: &[u32]) -> bool {
        self.rule(permission).is_some_and(|rule| overlap(&rule.revoked_below, entries))
    }

    /// Whether anything is said to it here or below.
    pub(crate) fn concerns(&self, permission: Permission, entries: &[u32]) -> bool {
        self.rule(permission).is_some_and(|rule| {
            [&rule.granted, &rule.revoked, &rule.granted_below, &rule.revoked_below]
                .iter()
                .any(|list| overlap(list, entries))
        })
    }
}
