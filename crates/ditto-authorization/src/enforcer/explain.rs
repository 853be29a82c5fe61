//! Why a policy decides as it does.

use std::fmt;

use ditto_json::JsonPointer;

use super::Enforcer;
use crate::context::AuthorizationContext;
use crate::rules::{Node, Permission, Word, overlap};
use crate::view;

/// A rule that has to do with a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    entry: String,
    subject: String,
    resource: String,
    is_grant: bool,
    is_decisive: bool,
}

impl Reason {
    /// Label of the policy's entry; of an imported one `imported-<policy>-<label>`.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// Subject of the context that is in the entry.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The resource, such as `thing:/attributes`.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Whether READ is granted there, or revoked.
    pub fn is_grant(&self) -> bool {
        self.is_grant
    }

    /// Whether it is the last word on the place that was asked for, or on a part of it; others say the same further above,
    /// or are overruled.
    pub fn is_decisive(&self) -> bool {
        self.is_decisive
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = if self.is_grant { "grants" } else { "revokes" };
        write!(f, "entry `{}` {does} READ on {} to `{}`", self.entry, self.resource, self.subject)
    }
}

impl Enforcer {
    /// The rules about READ that concern a context at a place: those above it and there, from the root on, then those
    /// below. `kind` is the type of resource, `thing` or `message`. None: nobody has said anything.
    pub fn explain(&self, context: &AuthorizationContext, kind: &str, path: &str) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let (Some(read), Some(root)) = (self.read, self.rules.root(kind)) else { return reasons };
        let context: Vec<_> = context
            .subjects()
            .filter_map(|subject| Some((subject, self.group(subject)?.entries.as_slice())))
            .collect();
        let mut at = vec![];
        let mut node = Some(root);
        let mut segments = view::segments(path);
        while let Some(here) = node {
            // What was said further above is overruled here, subject by subject.
            self.reasons_at(here, read, kind, &at, &context, &mut reasons, false);
            let Some(segment) = segments.next() else { break };
            node = self.rules.child(here, &segment);
            at.push(segment.into_owned());
        }
        if let Some(node) = node {
            self.reasons_below(node, read, kind, &mut at, &context, &mut reasons);
        }
        reasons
    }

    /// Sorted by name, so that the same policy is explained in the same way.
    fn reasons_below(
        &self,
        node: &Node,
        read: Permission,
        kind: &str,
        at: &mut Vec<String>,
        context: &[(&str, &[u32])],
        reasons: &mut Vec<Reason>,
    ) {
        let mut children: Vec<_> = node.children.iter().collect();
        children.sort_unstable();
        for (name, child) in children {
            let Some(child) = self.rules.node(*child) else { continue };
            if context.iter().any(|(_, entries)| child.concerns(read, entries)) {
                at.push(name.to_string());
                self.reasons_at(child, read, kind, at, context, reasons, true);
                self.reasons_below(child, read, kind, at, context, reasons);
                at.pop();
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the two walks above")]
    fn reasons_at(
        &self,
        node: &Node,
        read: Permission,
        kind: &str,
        at: &[String],
        context: &[(&str, &[u32])],
        reasons: &mut Vec<Reason>,
        is_below: bool,
    ) {
        let Some(rule) = node.rule(read) else { return };
        for (subject, entries) in context {
            let word = rule.word(entries);
            if word == Word::Silent {
                continue;
            }
            if !is_below {
                reasons.iter_mut().filter(|it| it.subject == *subject).for_each(|it| it.is_decisive = false);
            }
            let is_word = |is_grant| (word == Word::Granted) == is_grant;
            for (list, is_grant) in [(&rule.granted, true), (&rule.revoked, false)] {
                for entry in entries.iter().filter(|entry| overlap(list, &[**entry])) {
                    let Some(named) = self.entries.get(*entry as usize) else { continue };
                    reasons.push(Reason {
                        entry: named.label.clone(),
                        subject: (*subject).to_owned(),
                        resource: format!("{kind}:{}", JsonPointer::of(at)),
                        is_grant,
                        is_decisive: is_word(is_grant),
                    });
                }
            }
        }
    }
}
