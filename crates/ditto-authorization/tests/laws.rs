//! What holds for any input. The targets in `fuzz/` look for one that breaks it, `crashes/` has those that did.

use std::time::SystemTime;

use ditto_authorization::{Access, AuthorizationContext, Cut, Enforcer, Grants, Policy, View};
use ditto_json::{FieldSelector, JsonPointer};
use ditto_protocol::ResourceKey;
use serde_json::Value;
use serde_json::value::RawValue;

/// What is read compiles; who may do everything may do something; a mistake is at a place that is there.
pub(crate) fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let policy: Policy = match text.parse() {
        Ok(policy) => policy,
        Err(error) => {
            assert!(!error.reason().is_empty() && (400..500).contains(&error.code().status()));
            return assert!(error.place().is_empty() || error.place().starts_with('/'), "{error}");
        }
    };
    let Ok(enforcer) = Enforcer::compile(&policy, Some("a"), SystemTime::UNIX_EPOCH, |_| None) else {
        return;
    };
    let missing = Enforcer::missing_imports(&policy, |_| None);
    assert!(missing.is_ok_and(|missing| missing.iter().eq(sorted(policy.imported_ids()))));
    let all: AuthorizationContext = policy
        .entries()
        .iter()
        .flat_map(|entry| entry.subjects().iter().take(8).map(|subject| subject.id().as_str()))
        .take(64)
        .collect();
    let Ok(root) = "thing:/".parse::<ResourceKey>() else { return };
    let full = enforcer.subjects_with_unrestricted(&root, &["READ"]);
    let partial = enforcer.subjects_with_partial(&root, &["READ"]);
    assert!(full.iter().all(|subject| partial.contains(subject)));
    for subject in all.subjects() {
        let view = enforcer.view(&[subject].into_iter().collect());
        assert_eq!(view.access() != Access::Nothing, partial.contains(&subject));
        assert!(view.access() == Access::Whole || !full.contains(&subject));
    }
    for reason in enforcer.explain(&all, "thing", "/").iter().take(64) {
        assert!(reason.resource().parse::<ResourceKey>().is_ok(), "{reason}");
    }
    assert_eq!(enforcer.view(&all).union(&enforcer.retrieval_view(&all)), enforcer.view(&all));
}

fn sorted<T: Ord>(list: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let mut list: Vec<_> = list.collect();
    list.sort();
    list.into_iter()
}

/// Headers grant nothing to those that are not in them.
pub(crate) fn headers(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let nobody = AuthorizationContext::default();
    for [read, partial] in [[Some(text), None], [None, Some(text)], [Some(text), Some(text)]] {
        if let Ok(grants) = Grants::parse(read, None, partial) {
            assert_eq!(grants.decide(&nobody), ditto_authorization::Decision::Denied);
        }
    }
}

/// What is cut is JSON, has nothing that was not there, and is not cut again. What is no JSON is nothing, but where
/// nobody looks.
pub(crate) fn cut(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let whole = serde_json::from_str::<Value>(text).ok();
    for view in views(text) {
        for path in ["/", "/a", "/attributes/a"] {
            let cut = view.cut(path, text);
            let patch = view.cut_merge_patch(path, text);
            match view.access_at(path) {
                Access::Whole => assert_eq!([&cut, &patch], [&Cut::Whole; 2]),
                Access::Nothing => assert_eq!([&cut, &patch], [&Cut::Nothing; 2]),
                Access::Part if whole.is_none() => check_unreadable(text, &cut),
                Access::Part => {
                    for left in [cut.of(text), patch.of(text)].into_iter().flatten() {
                        assert!(serde_json::from_str::<&RawValue>(left).is_ok(), "{left}");
                    }
                    if let Some(left) = cut.of(text) {
                        assert_eq!(view.cut(path, left), Cut::Whole);
                        let left = serde_json::from_str::<Value>(left).ok();
                        assert!(left.zip(whole.clone()).is_none_or(|(left, whole)| is_within(&left, &whole)));
                    }
                    if let Some(left) = patch.of(text) {
                        assert_eq!(view.cut_merge_patch(path, left), Cut::Whole);
                    }
                }
            }
        }
    }
}

/// Deeper than serde_json reads, it may be JSON.
fn check_unreadable(text: &str, cut: &Cut) {
    if serde_json::from_str::<&RawValue>(text).is_err() {
        assert_eq!(*cut, Cut::Nothing);
    }
}

fn is_within(left: &Value, whole: &Value) -> bool {
    match (left, whole) {
        (Value::Object(left), Value::Object(whole)) => {
            left.iter().all(|(name, left)| whole.get(name).is_some_and(|whole| is_within(left, whole)))
        }
        (left, whole) => left == whole,
    }
}

/// Some views; also one made of the text itself, so that names in it meet names in a view.
fn views(text: &str) -> Vec<View> {
    let pointers =
        |paths: &[&str]| -> Vec<JsonPointer> { paths.iter().flat_map(|path| path.parse()).collect() };
    let mut views = vec![
        View::whole(),
        View::nothing(),
        View::of_paths(&pointers(&["/attributes/a/b", "/features"])),
        View::of_paths(&pointers(&["/a/a", "/b"])).keeping(&["thingId"]),
    ];
    if let Ok(Value::Object(members)) = serde_json::from_str(text) {
        let places = members.iter().flat_map(|(name, value)| {
            let below = value.as_object().and_then(|it| it.keys().next()).cloned();
            [Some(JsonPointer::of(std::iter::once(name.clone()).chain(below)))]
        });
        views.push(View::of_paths(&places.flatten().step_by(2).collect::<Vec<_>>()));
    }
    if let Ok(selector) = text.parse::<FieldSelector>() {
        views.push(View::of_paths(selector.pointers().iter().filter(|it| it.segments().len() < 64)));
    }
    views
}
