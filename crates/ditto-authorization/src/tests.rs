//! Against a slow reading of the specification (policies.md §4 to §6): every rule is looked at for every question.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use ditto_json::{JsonPointer, merge_patch};
use ditto_protocol::{Limits, ResourceKey, Signal};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{ALWAYS_READABLE, Access, AuthorizationContext, Cut, Decision, Enforcer, Grants, Policy, View};

type Path = Vec<String>;

/// What all entries together say to one subject at one place.
#[derive(Debug, Clone, Default)]
struct Said {
    granted: BTreeSet<String>,
    revoked: BTreeSet<String>,
}

/// By subject, then by type and path: entries that say something about the same place are united.
#[derive(Debug, Clone)]
struct Naive {
    said: BTreeMap<String, BTreeMap<(String, Path), Said>>,
}

impl Naive {
    fn of(policy: &Value) -> Self {
        let mut said: BTreeMap<_, BTreeMap<_, Said>> = BTreeMap::new();
        for entry in policy["entries"].as_object().unwrap().values() {
            for subject in entry["subjects"].as_object().unwrap().keys() {
                let of_subject = said.entry(subject.clone()).or_default();
                for (key, permissions) in entry["resources"].as_object().unwrap() {
                    let (kind, path) = key.split_once(':').unwrap();
                    let said = of_subject.entry((kind.to_owned(), segments(path))).or_default();
                    for (effect, list) in [("grant", &mut said.granted), ("revoke", &mut said.revoked)] {
                        let names = permissions[effect].as_array().unwrap().iter();
                        list.extend(names.map(|name| name.as_str().unwrap().to_owned()));
                    }
                }
            }
        }
        Self { said }
    }

    /// Deepest level that grants, and deepest level that revokes, among the places that are asked for. A grant that the
    /// same subject has revoked at the same place is none.
    fn deepest(
        &self,
        subjects: &[&str],
        permission: &str,
        kind: &str,
        counts: impl Fn(&Path, bool) -> bool,
    ) -> (Option<usize>, Option<usize>) {
        let (mut granted, mut revoked) = (None, None);
        for subject in subjects {
            for ((_, path), said) in
                self.said.get(*subject).into_iter().flatten().filter(|((own, _), _)| own == kind)
            {
                let is_revoked = said.revoked.contains(permission);
                if is_revoked && counts(path, false) {
                    revoked = revoked.max(Some(path.len()));
                }
                if said.granted.contains(permission) && !is_revoked && counts(path, true) {
                    granted = granted.max(Some(path.len()));
                }
            }
        }
        (granted, revoked)
    }

    fn allows(
        &self,
        subjects: &[&str],
        permissions: &[&str],
        (kind, target): (&str, &Path),
        counts_below: impl Fn(bool) -> bool,
    ) -> bool {
        permissions.iter().all(|permission| {
            let (granted, revoked) = self.deepest(subjects, permission, kind, |path, is_grant| {
                target.starts_with(path) || path.starts_with(target) && counts_below(is_grant)
            });
            granted.is_some() && granted > revoked
        })
    }

    fn unrestricted(&self, subjects: &[&str], permissions: &[&str], resource: (&str, &Path)) -> bool {
        self.allows(subjects, permissions, resource, |is_grant| !is_grant)
    }

    fn partial(&self, subjects: &[&str], permissions: &[&str], resource: (&str, &Path)) -> bool {
        self.allows(subjects, permissions, resource, |is_grant| is_grant)
    }

    fn effected(&self, subject: &str, permission: &str, (kind, target): (&str, &Path)) -> Option<bool> {
        let (granted, revoked) =
            self.deepest(&[subject], permission, kind, |path, _| target.starts_with(path));
        granted.max(revoked).map(|_| granted > revoked)
    }

    fn reads(&self, subjects: &[&str], path: &Path) -> bool {
        self.allows(subjects, &["READ"], ("thing", path), |_| false)
    }
}

fn segments(path: &str) -> Path {
    path.split('/').filter(|segment| !segment.is_empty()).map(|segment| segment.replace("~0", "~")).collect()
}

/// Leaves of what stands at a place: scalars, arrays and empty objects.
fn leaves(at: &Path, value: &Value, out: &mut Vec<(Path, Value)>) {
    match value.as_object().filter(|members| !members.is_empty()) {
        None => out.push((at.clone(), value.clone())),
        Some(members) => {
            for (name, value) in members {
                let mut below = at.clone();
                below.push(name.clone());
                leaves(&below, value, out);
            }
        }
    }
}

/// What is left of what stands at `base` if the leaves are kept that `keeps` says.
fn kept(base: &Path, value: &Value, keeps: impl Fn(&Path) -> bool) -> Option<Value> {
    let mut all = Vec::new();
    leaves(base, value, &mut all);
    let mut left = None;
    for (path, leaf) in all.into_iter().filter(|(path, _)| keeps(path)) {
        JsonPointer::of(path[base.len()..].iter().cloned()).set(left.get_or_insert(json!({})), leaf);
    }
    left
}

fn left(cut: &Cut, whole: &str) -> Option<Value> {
    cut.of(whole).map(|text| serde_json::from_str(text).unwrap())
}

/// Of member names as they are; a pointer writes `~` as `~0`.
fn path(depth: usize) -> impl Strategy<Value = Path> {
    let name = prop::sample::select(vec!["a", "b", "c~", "€"]);
    prop::collection::vec(name.prop_map(ToOwned::to_owned), 0..=depth)
}

fn text(path: &Path) -> String {
    JsonPointer::of(path.iter().cloned()).to_string()
}

const SUBJECTS: [&str; 3] = ["i:x", "i:y", "i:z"];

fn permissions() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(vec!["READ", "WRITE"], 0..=2)
}

fn policy() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec!["thing", "thing", "thing", "message"]);
    let resource = (kind, path(3), permissions(), permissions()).prop_map(|(kind, path, grant, revoke)| {
        (format!("{kind}:{}", text(&path)), json!({ "grant": grant, "revoke": revoke }))
    });
    let entry = (
        prop::sample::subsequence(SUBJECTS.to_vec(), 0..=2),
        prop::collection::btree_map(".*", resource, 0..4),
    )
        .prop_map(|(subjects, resources)| {
            let subjects: BTreeMap<_, _> =
                subjects.into_iter().map(|subject| (subject, json!({ "type": "t" }))).collect();
            let resources: BTreeMap<_, _> = resources.into_values().collect();
            json!({ "subjects": subjects, "resources": resources })
        });
    prop::collection::vec(entry, 0..5).prop_map(|entries| {
        let entries: BTreeMap<_, _> =
            entries.into_iter().enumerate().map(|(n, entry)| (format!("e{n}"), entry)).collect();
        json!({ "policyId": "a:p", "entries": entries })
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(null)), any::<i8>().prop_map(|n| json!(n)), Just(json!([1, {"a": 2}]))];
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c~", "€"]), inner, 0..4)
            .prop_map(|members| json!(members))
    })
}

fn compile(policy: &Value) -> Enforcer {
    let policy: Policy = policy.to_string().parse().unwrap();
    Enforcer::compile(&policy, Some("a"), SystemTime::now(), |_| None).unwrap()
}

fn subjects() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(vec!["i:x", "i:y", "i:z", "i:nobody"], 0..=3)
}

fn event(action: &str, path: &str, value: Option<&Value>) -> Signal {
    let mut message =
        json!({ "topic": format!("a/t/things/twin/events/{action}"), "path": path, "revision": 1 });
    if let Some(value) = value {
        message["value"] = value.clone();
    }
    Signal::decode(message.to_string().into(), &Limits::default()).unwrap()
}

/// Level 1 and 2 are objects, so that merging changes no leaf into an object.
fn thing() -> impl Strategy<Value = Value> {
    let names = || prop::sample::select(vec!["a", "b", "c~"]);
    let inner = prop::collection::btree_map(names(), any::<u8>(), 1..4);
    let middle = prop::collection::btree_map(names(), inner, 1..4);
    prop::collection::btree_map(names(), middle, 0..4).prop_map(|members| json!(members))
}

/// Replaces or deletes at any level, but has no object in place of a leaf.
fn patch() -> impl Strategy<Value = Value> {
    let names = || prop::sample::select(vec!["a", "b", "c~"]);
    let leaf = || prop_oneof![Just(json!(null)), any::<u8>().prop_map(|n| json!(n))];
    let inner = prop::collection::btree_map(names(), leaf(), 1..4).prop_map(|members| json!(members));
    let middle = prop::collection::btree_map(names(), prop_oneof![2 => inner, 1 => leaf()], 1..4)
        .prop_map(|members| json!(members));
    prop::collection::btree_map(names(), prop_oneof![2 => middle, 1 => leaf()], 0..4)
        .prop_map(|members| json!(members))
}

fn without_empty(value: &Value) -> Vec<(Path, Value)> {
    let mut all = Vec::new();
    leaves(&Vec::new(), value, &mut all);
    all.retain(|(_, leaf)| *leaf != json!({}));
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn decisions(
        policy in policy(), subjects in subjects(), path in path(4), permissions in permissions(),
        kind in prop::sample::select(vec!["thing", "message", "policy"]),
    ) {
        let (naive, enforcer) = (Naive::of(&policy), compile(&policy));
        let resource: ResourceKey = format!("{kind}:{}", text(&path)).parse().unwrap();
        let context: AuthorizationContext = subjects.iter().copied().collect();
        let at = (kind, &path);
        if permissions.is_empty() {
            prop_assert!(!enforcer.has_partial(&context, &resource, &permissions));
            return Ok(());
        }
        prop_assert_eq!(
            enforcer.has_unrestricted(&context, &resource, &permissions),
            naive.unrestricted(&subjects, &permissions, at)
        );
        prop_assert_eq!(
            enforcer.has_partial(&context, &resource, &permissions),
            naive.partial(&subjects, &permissions, at)
        );
        let each = |holds: &dyn Fn(&str) -> bool| -> Vec<_> {
            SUBJECTS.into_iter().filter(|subject| holds(subject)).collect()
        };
        prop_assert_eq!(
            enforcer.subjects_with_unrestricted(&resource, &permissions),
            each(&|subject| naive.unrestricted(&[subject], &permissions, at))
        );
        prop_assert_eq!(
            enforcer.subjects_with_partial(&resource, &permissions),
            each(&|subject| naive.partial(&[subject], &permissions, at))
        );
        let effected = |wanted| {
            each(&|subject| permissions.iter().all(|name| naive.effected(subject, name, at) == Some(wanted)))
        };
        prop_assert_eq!(enforcer.subjects_effected(&resource, &permissions), (effected(true), effected(false)));
    }

    /// What is stamped on a signal decides as the policy does.
    #[test]
    fn grants_as_headers(policy in policy(), path in path(4), is_event in any::<bool>(), subjects in subjects()) {
        let enforcer = compile(&policy);
        let signal = match is_event {
            true => event("modified", "/attributes", Some(&json!({}))),
            false => {
                let topic = "a/t/things/live/commands/retrieve";
                let command = json!({"topic": topic, "path": text(&path), "headers": {}});
                let Ok(signal) = Signal::decode(command.to_string().into(), &Limits::default()) else { return Ok(()) };
                signal
            }
        };
        let grants = enforcer.grants(&signal);
        let headers = grants.headers();
        let read = Grants::parse(Some(&headers.read), headers.revoked.as_deref(), headers.partial.as_deref());
        prop_assert_eq!(read.as_ref(), Ok(&*grants));
        let context: AuthorizationContext = subjects.into_iter().collect();
        prop_assert_eq!(read.map(|read| read.decide(&context)), Ok(grants.decide(&context)));
    }

    #[test]
    fn views(policy in policy(), subjects in subjects(), base in path(3), value in value(), spaced in any::<bool>()) {
        let (naive, enforcer) = (Naive::of(&policy), compile(&policy));
        let context: AuthorizationContext = subjects.iter().copied().collect();
        let raw = if spaced { format!("{value:#}") } else { value.to_string() };
        let together = enforcer.retrieval_view(&context);
        let cut = together.cut(&text(&base), &raw);
        prop_assert_eq!(left(&cut, &raw), kept(&base, &value, |path| naive.reads(&subjects, path)));
        let each = enforcer.view(&context);
        let cut = each.cut(&text(&base), &raw);
        let is_read = |path: &Path| {
            subjects.iter().any(|subject| naive.reads(&[subject], path))
        };
        prop_assert_eq!(left(&cut, &raw), kept(&base, &value, is_read));
        // Cutting once more cuts nothing, and nothing that is whole was copied.
        if let Some(text_left) = cut.of(&raw) {
            prop_assert_eq!(each.cut(&text(&base), text_left), Cut::Whole);
        }
        prop_assert!(cut != Cut::Part(raw));
        // Alone each of them may read what all may read together.
        prop_assert_eq!(each.union(&together), each.clone());
        let partial = subjects.iter().any(|subject| naive.partial(&[subject], &["READ"], ("thing", &Vec::new())));
        prop_assert_eq!(each.access() != Access::Nothing, partial);
        prop_assert_eq!(each.access() == Access::Whole, {
            let mut mentioned: Vec<Path> = vec![Vec::new()];
            mentioned.extend(naive.said.values().flat_map(|said| said.keys().map(|(_, path)| path.clone())));
            mentioned.iter().all(is_read)
        });
    }

    #[test]
    fn signals(policy in policy(), subjects in subjects(), path in path(2)) {
        let (naive, enforcer) = (Naive::of(&policy), compile(&policy));
        let context: AuthorizationContext = subjects.iter().copied().collect();
        let path: Path = [vec!["attributes".to_owned()], path].concat();
        let signal = event("modified", &text(&path), Some(&json!({ "a": 1 })));
        let readers: Vec<_> = SUBJECTS
            .into_iter()
            .filter(|subject| naive.partial(&[subject], &["READ"], ("thing", &Vec::new())))
            .collect();
        let grants = enforcer.grants(&signal);
        prop_assert_eq!(grants.readers().collect::<Vec<_>>(), readers);
        prop_assert_eq!(grants.revoked().count(), 0);
        // Decided by subject or by path: the one that knows the path denies more.
        match (enforcer.decide(&context, &signal), grants.decide(&context)) {
            (Decision::Denied, Decision::Restricted(view)) => {
                prop_assert_eq!(view.access_at(signal.path()), Access::Nothing);
            }
            (Decision::Granted, Decision::Restricted(view)) => prop_assert_eq!(view.access(), Access::Whole),
            (decision, by_grants) => prop_assert_eq!(decision, by_grants),
        }
        let message = json!({
            "topic": "a/t/things/live/messages/a", "path": "/inbox/messages/a", "headers": {}
        });
        let message = Signal::decode(message.to_string().into(), &Limits::default()).unwrap();
        let at: Path = segments(message.path());
        let effected = |wanted| {
            SUBJECTS.into_iter().filter(|subject| {
                naive.effected(subject, "READ", ("message", &at)) == Some(wanted)
            }).collect::<Vec<_>>()
        };
        let grants = enforcer.grants(&message);
        prop_assert_eq!(grants.readers().collect::<Vec<_>>(), effected(true));
        prop_assert_eq!(grants.revoked().collect::<Vec<_>>(), effected(false));
        prop_assert_eq!(enforcer.decide(&context, &message), grants.decide(&context));
    }

    /// What a reader has seen so far, merged with what it gets of a merge, is what it may see afterwards.
    #[test]
    fn merges(policy in policy(), subjects in subjects(), thing in thing(), patch in patch()) {
        let view = compile(&policy).retrieval_view(&subjects.into_iter().collect());
        let see = |value: &Value| left(&view.cut("/", &value.to_string()), &value.to_string()).unwrap_or(json!({}));
        let mut seen = see(&thing);
        let raw = patch.to_string();
        if let Some(patch) = left(&view.cut_merge_patch("/", &raw), &raw) {
            merge_patch(&mut seen, &patch).unwrap();
        }
        let mut merged = thing;
        merge_patch(&mut merged, &patch).unwrap();
        prop_assert_eq!(without_empty(&seen), without_empty(&see(&merged)));
    }

    /// A header says as much as a list of paths.
    #[test]
    fn headers(paths in prop::collection::vec(path(3), 0..5), base in path(2), value in value()) {
        let named: BTreeMap<_, _> =
            paths.iter().map(|path| (text(path).trim_start_matches('/').to_owned(), json!([1]))).collect();
        let header = json!({ "subjects": ["i:x", "i:y"], "paths": named }).to_string();
        let grants = Grants::parse(Some(r#"["i:y","i:z"]"#), None, Some(&header)).unwrap();
        let Decision::Restricted(view) = grants.decide(&["i:x", "i:y"].into_iter().collect()) else {
            return Err(TestCaseError::fail("not restricted"));
        };
        let raw = value.to_string();
        let keeps = |leaf: &Path| paths.iter().any(|path| leaf.starts_with(path));
        prop_assert_eq!(left(&view.cut(&text(&base), &raw), &raw), kept(&base, &value, keeps));
        prop_assert_eq!(&view, &View::of_paths(paths.iter().map(|it| JsonPointer::of(it.iter().cloned())).collect::<Vec<_>>().iter()).keeping(&ALWAYS_READABLE));
        prop_assert_eq!(grants.decide(&["i:y", "i:z"].into_iter().collect()), Decision::Granted);
    }

    /// The last words on a place explain what is decided there.
    #[test]
    fn explanations(policy in policy(), subjects in subjects(), path in path(4)) {
        let (naive, enforcer) = (Naive::of(&policy), compile(&policy));
        let context: AuthorizationContext = subjects.iter().copied().collect();
        let reasons = enforcer.explain(&context, "thing", &text(&path));
        for subject in subjects {
            let is_above = |resource: &str| {
                let resource: ResourceKey = resource.parse().unwrap();
                path.starts_with(resource.path().segments())
            };
            let mut decisive = reasons
                .iter()
                .filter(|reason| reason.subject() == subject && reason.is_decisive() && is_above(reason.resource()));
            let word = naive.effected(subject, "READ", ("thing", &path));
            prop_assert_eq!(decisive.clone().next().map(|reason| reason.is_grant()), word);
            prop_assert!(decisive.all(|reason| Some(reason.is_grant()) == word));
            for reason in reasons.iter().filter(|reason| reason.subject() == subject) {
                let entry = &policy["entries"][reason.entry()];
                prop_assert!(entry["subjects"].get(subject).is_some());
                let effect = if reason.is_grant() { "grant" } else { "revoke" };
                let names = entry["resources"][reason.resource()][effect].as_array().unwrap();
                prop_assert!(names.contains(&json!("READ")), "{reason}");
            }
        }
    }
}
