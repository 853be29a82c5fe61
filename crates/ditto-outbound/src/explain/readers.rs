//! Who may read the signal, and what of it.

use std::fmt::Write;
use std::sync::Arc;

use ditto_authorization::{AuthorizationContext, Decision as Access, Enforcer, Grants};
use ditto_connection::nearest;
use ditto_protocol::ResourceKey;
use serde_json::Value;

use super::Decision;
use crate::authorize::{self, Readable};
use crate::signal::{Audience, RoutedSignal, Unreadable};
use crate::target::CompiledTarget;

const STEP: &str = "subjects";
/// Subjects that are named as a way out.
const MAX_NAMED: usize = 5;

/// Nothing says who may read, and nobody can be asked.
pub(super) fn nobody() -> Decision {
    Decision::new(STEP, false, "nothing says who may read the signal").remedy(
        "let the service know policies (a directory), or let a trusted feed carry the header `ditto-read-subjects`",
    )
}

pub(super) fn subjects(signal: &RoutedSignal, target: &CompiledTarget) -> Decision {
    let context = target.context();
    let decision = match signal.audience() {
        Some(Audience::Policy(enforcer, grants)) => by_policy(signal, target, enforcer, grants),
        Some(Audience::Subjects(grants)) => by_grants(context, grants),
        Some(Audience::OwnConnection) if signal.is_about(target.connection_id()) => {
            Decision::new(STEP, true, "the announcement is about this connection")
        }
        Some(Audience::OwnConnection) => {
            Decision::new(STEP, false, "the announcement is about another connection")
        }
        Some(Audience::Nobody(why)) => nobody_because(why),
        None => nobody(),
    };
    decision.detail("context", context.subjects().map(Value::from).collect::<Vec<_>>())
}

fn nobody_because(why: &Unreadable) -> Decision {
    let remedy = match why {
        Unreadable::PolicyAbsent => {
            "make the thing's policy anew, or let the directory's user READ `policy:/` and `thing:/`"
        }
        Unreadable::PolicyUnknown(_) => "mend what ails the directory, and send the signal again",
    };
    Decision::new(STEP, false, format!("nobody may read it: {why}"))
        .remedy(remedy)
        .detail("reason", why.name())
}

fn by_policy(
    signal: &RoutedSignal,
    target: &CompiledTarget,
    enforcer: &Enforcer,
    grants: &Grants,
) -> Decision {
    let message = signal.signal();
    let (kind, path) = (message.resource_type(), message.resource_path());
    let context = target.context();
    let reasons = enforcer.explain(context, kind, &path);
    let mut lines = String::new();
    for reason in &reasons {
        let overruled = if reason.is_decisive() { "" } else { " (not the last word)" };
        let _infallible = writeln!(lines, "{reason}{overruled}");
    }
    for subject in context.subjects() {
        if !reasons.iter().any(|reason| reason.subject() == subject) {
            let _infallible = writeln!(lines, "no entry says anything about `{subject}` at {kind}:{path}");
        }
    }
    let says = |what: &str| format!("by its policy the target's subjects {what} {kind}:{path}");
    let access = signal.decide(target);
    let decision = match &access {
        Access::Granted => Decision::new(STEP, true, says("may read")),
        Access::Restricted(_) => {
            Decision::new(STEP, true, says("may read parts of the thing; the signal is about"))
        }
        Access::Denied => {
            let revoked = reasons.iter().rfind(|reason| reason.is_decisive() && !reason.is_grant());
            let decision = Decision::new(
                STEP,
                false,
                match revoked {
                    Some(reason) => format!("{}: {reason}", says("may not read")),
                    None => says("may not read"),
                },
            );
            decision.remedy(match revoked {
                Some(reason) => format!(
                    "take that revoke out of entry `{}`, or grant READ at {kind}:{path} or below",
                    reason.entry()
                ),
                None => way_in(context, &readers(enforcer, grants, kind, &path), &format!("{kind}:{path}")),
            })
        }
    };
    let list = reasons.iter().map(|reason| {
        serde_json::json!({
            "entry": reason.entry(), "subject": reason.subject(), "resource": reason.resource(),
            "grants": reason.is_grant(), "decisive": reason.is_decisive(),
        })
    });
    decision.below(&lines).detail("by", "policy").detail("reasons", list.collect::<Vec<_>>())
}

/// The subjects that may read at a place.
fn readers(enforcer: &Enforcer, grants: &Grants, kind: &str, path: &str) -> Vec<String> {
    let resource: Result<ResourceKey, _> = format!("{kind}:{path}").parse();
    let there =
        resource.map(|resource| enforcer.subjects_with_partial(&resource, &["READ"])).unwrap_or_default();
    let readers: Vec<String> = there.into_iter().map(str::to_owned).collect();
    if readers.is_empty() { grants.readers().map(str::to_owned).collect() } else { readers }
}

fn by_grants(context: &AuthorizationContext, grants: &Grants) -> Decision {
    let mut lines = String::new();
    for subject in context.subjects() {
        let is = |mut list: Box<dyn Iterator<Item = &str> + '_>| list.any(|listed| listed == subject);
        let what = match () {
            () if is(Box::new(grants.revoked())) => "is revoked, which vetoes the target",
            () if is(Box::new(grants.restricted().map(|(subject, _)| subject))) => "may read a part of it",
            () if is(Box::new(grants.readers())) => "may read it",
            () => "is not among those that may read it",
        };
        let _infallible = writeln!(lines, "`{subject}` {what}");
    }
    let by = "by what comes with the signal";
    let decision = match grants.decide(context) {
        Access::Granted => Decision::new(STEP, true, format!("{by} the target's subjects may read it")),
        Access::Restricted(_) => {
            Decision::new(STEP, true, format!("{by} the target's subjects may read a part of it"))
        }
        Access::Denied if grants.is_revoked(context) => {
            Decision::new(STEP, false, format!("{by} a subject of the target is revoked")).remedy(
                "take the subject out of the target's authorizationContext, or the revoke out of the policy",
            )
        }
        Access::Denied => {
            let readers: Vec<String> = grants.readers().map(str::to_owned).collect();
            Decision::new(STEP, false, format!("{by} no subject of the target may read it"))
                .remedy(way_in(context, &readers, "it"))
        }
    };
    decision.below(&lines).detail("by", "headers")
}

/// What to do where others may read.
fn way_in(context: &AuthorizationContext, readers: &[String], what: &str) -> String {
    let meant = context.subjects().find_map(|subject| {
        let meant = nearest(subject, readers.iter().map(String::as_str))?;
        Some(format!("did you mean `{meant}` instead of `{subject}` in the authorizationContext? "))
    });
    let named: Vec<_> = readers.iter().take(MAX_NAMED).map(|reader| format!("`{reader}`")).collect();
    let others = match named.as_slice() {
        [] => "nobody else may read it either".to_owned(),
        named => format!("those who may are {}", named.join(", ")),
    };
    format!(
        "{}let the policy grant READ on {what} to a subject of the target's authorizationContext; {others}",
        meant.unwrap_or_default()
    )
}

/// What the target is shown of the signal, if its subjects may read it.
pub(super) fn view(
    signal: &Arc<RoutedSignal>,
    target: &CompiledTarget,
) -> (Option<Decision>, Option<Readable<Arc<RoutedSignal>>>) {
    match (signal.decide(target), authorize::readable(signal, target)) {
        (Access::Restricted(_), Ok(readable)) => {
            let left = readable.get().signal().value().map(str::to_owned);
            let decision = Decision::new("view", true, "the target sees the part that its subjects may read");
            let decision = match &left {
                Some(left) => decision.below(&format!("value: {left}")),
                None => decision,
            };
            (Some(decision.detail("value", left)), Some(readable))
        }
        (Access::Restricted(_), Err(_)) => {
            let says =
                "the target's subjects may read parts of the thing, and nothing of what this signal says";
            let remedy = format!("let the policy grant READ at {}", signal.signal().path());
            (Some(Decision::new("view", false, says).remedy(remedy)), None)
        }
        (_, readable) => (None, readable.ok()),
    }
}
