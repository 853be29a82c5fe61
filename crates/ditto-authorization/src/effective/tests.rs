use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{AuthorizationContext, Enforcer};

const EXPIRY: &str = "2030-01-01T00:00:00Z";

fn entry(subject: &str, path: &str, more: Value) -> Value {
    let mut entry = json!({
        "subjects": { subject: { "type": "t" } },
        "resources": { path: { "grant": ["READ"], "revoke": [] } },
    });
    for (name, value) in more.as_object().unwrap() {
        entry[name] = value.clone();
    }
    entry
}

fn policies(list: &[Value]) -> HashMap<String, Arc<Policy>> {
    let parsed = list.iter().map(|policy| Arc::new(policy.to_string().parse::<Policy>().unwrap()));
    parsed.map(|policy| (policy.id().unwrap().to_string(), policy)).collect()
}

fn at(text: &str) -> SystemTime {
    ditto_protocol::parse_instant(text).unwrap()
}

/// Labels, subjects and resources of what the first policy says, sorted.
#[track_caller]
fn check(list: &[Value], expected: &[(&str, &[&str], &[&str])]) {
    let known = policies(list);
    let policy = &known[list[0]["policyId"].as_str().unwrap()];
    let mut resolver =
        Resolver::new(|id: &PolicyId| known.get(id.as_str()).cloned(), at("2026-01-01T00:00:00Z"));
    let mut found: Vec<_> = resolver
        .resolve(policy)
        .unwrap()
        .into_iter()
        .map(|entry| {
            let subjects: Vec<_> = entry.subjects.into_iter().map(|(id, _)| id).collect();
            let resources: Vec<_> =
                entry.resources.iter().map(|(key, _)| format!("{}:{}", key.kind(), key.path())).collect();
            (entry.label, subjects, resources)
        })
        .collect();
    found.sort();
    let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let expected: Vec<_> = expected
        .iter()
        .map(|(label, subjects, resources)| ((*label).to_owned(), owned(subjects), owned(resources)))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn imports_bring_what_they_name() {
    let template = json!({ "policyId": "a:t", "entries": {
        "im": entry("i:im", "thing:/", json!({})),
        "ex": entry("i:ex", "thing:/", json!({ "importable": "explicit" })),
        "nv": entry("i:nv", "thing:/", json!({ "importable": "never" })),
    }, "imports": { "a:deep": {} } });
    let deep = json!({ "policyId": "a:deep", "entries": { "d": entry("i:d", "thing:/", json!({})) } });
    let own = |import: Value| json!({ "policyId": "a:p", "entries": {}, "imports": { "a:t": import, "a:none": {} } });
    let (im, ex) = (
        ("imported-a:t-im", &["i:im"][..], &["thing:/"][..]),
        ("imported-a:t-ex", &["i:ex"][..], &["thing:/"][..]),
    );
    let list = |import| [own(import), template.clone(), deep.clone()];
    check(&list(json!({})), &[im]);
    check(&list(json!({ "entries": ["ex", "nv", "other"] })), &[ex, im]);
    check(
        &list(json!({ "transitiveImports": ["a:deep", "a:other"] })),
        &[
            ("imported-a:t-im", &["i:im"], &["thing:/"]),
            ("imported-a:t-imported-a:deep-d", &["i:d"], &["thing:/"]),
        ],
    );
}

#[test]
fn references_take_over_as_far_as_it_is_allowed() {
    let of = |base: Value, more: Value| {
        let mut referring =
            entry("i:own", "thing:/own", json!({ "references": [{ "entry": "base" }, { "entry": "none" }] }));
        referring["subjects"]["i:base"] = json!({ "type": "own" });
        for (name, value) in more.as_object().unwrap() {
            referring[name] = value.clone();
        }
        [
            json!({ "policyId": "a:p", "entries": { "base": entry("i:base", "thing:/base", base), "r": referring } }),
        ]
    };
    let base = ("base", &["i:base"][..], &["thing:/base"][..]);
    check(&of(json!({}), json!({})), &[base, ("r", &["i:base", "i:own"], &["thing:/base", "thing:/own"])]);
    check(&of(json!({ "allowedAdditions": [] }), json!({})), &[base, ("r", &["i:base"], &["thing:/base"])]);
    check(
        &of(json!({ "allowedAdditions": ["subjects"] }), json!({})),
        &[base, ("r", &["i:base", "i:own"], &["thing:/base"])],
    );
    check(
        &of(json!({ "importable": "never" }), json!({})),
        &[base, ("r", &["i:own", "i:base"], &["thing:/own"])],
    );
    // What a referenced entry refers to itself is not followed.
    let chain = json!({ "policyId": "a:p", "entries": {
        "a": entry("i:a", "thing:/a", json!({ "references": [{ "entry": "b" }] })),
        "b": entry("i:b", "thing:/b", json!({ "references": [{ "entry": "c" }] })),
        "c": entry("i:c", "thing:/c", json!({})),
    } });
    check(
        &[chain],
        &[
            ("a", &["i:b", "i:a"], &["thing:/b", "thing:/a"]),
            ("b", &["i:c", "i:b"], &["thing:/c", "thing:/b"]),
            ("c", &["i:c"], &["thing:/c"]),
        ],
    );
    let imported = [
        json!({ "policyId": "a:p", "imports": { "a:t": { "entries": ["t"] } }, "entries": {
            "r": { "references": [{ "import": "a:t", "entry": "t" }] },
            "s": { "references": [{ "import": "a:other", "entry": "t" }] },
        } }),
        json!({ "policyId": "a:t", "entries": { "t": entry("i:t", "thing:/t", json!({ "importable": "explicit" })) } }),
    ];
    check(
        &imported,
        &[("imported-a:t-t", &["i:t"], &["thing:/t"]), ("r", &["i:t"], &["thing:/t"]), ("s", &[], &[])],
    );
}

#[test]
fn what_is_missing_is_named_and_circles_end() {
    let import = |id: &str, other: &str| json!({ "policyId": id, "entries": {}, "imports": { other: { "transitiveImports": [id, other, "a:c", "a:d"] } } });
    let known = policies(&[import("a:p", "a:b"), import("a:b", "a:c")]);
    let missing = Enforcer::missing_imports(&known["a:p"], |id| known.get(id.as_str()).cloned()).unwrap();
    assert_eq!(missing.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:c"]);
    let circle = policies(&[import("a:p", "a:b"), import("a:b", "a:p")]);
    let missing = Enforcer::missing_imports(&circle["a:p"], |id| circle.get(id.as_str()).cloned());
    assert_eq!(missing.map(|missing| missing.len()), Ok(0));
    // Nobody can make a policy that takes more than it has.
    let wide: Vec<_> = (0..30)
        .map(|n| {
            let ids: Vec<_> = (0..30).map(|other| format!("a:p{other}")).collect();
            let imports: HashMap<_, _> = ids
                .iter()
                .filter(|id| **id != format!("a:p{n}"))
                .map(|id| (id, json!({ "transitiveImports": [format!("a:p{}", (n * 7 + 1) % 30), format!("a:p{}", (n * 5 + 2) % 30)] })))
                .collect();
            json!({ "policyId": format!("a:p{n}"), "entries": {}, "imports": imports })
        })
        .collect();
    let wide = policies(&wide);
    let mut asked = 0;
    let missing = Enforcer::missing_imports(&wide["a:p0"], |id| {
        asked += 1;
        wide.get(id.as_str()).cloned()
    });
    assert_eq!(missing.map_err(|error| error.place().to_owned()), Err("/imports".to_owned()));
    assert!(asked <= wide.len(), "{asked}: each is asked for once");
}

#[test]
fn a_subject_ends_with_its_expiry() {
    let subject = json!({ "i:x": { "type": "t", "expiry": EXPIRY }, "i:y": { "type": "t" } });
    let policy = json!({ "entries": {
        "a": { "subjects": subject, "resources": { "thing:/": { "grant": ["READ"], "revoke": [] } } },
        "b": { "references": [{ "entry": "a" }], "subjects": { "i:x": { "type": "t" } },
            "resources": { "thing:/": { "grant": ["WRITE"], "revoke": [] } } },
    } });
    let policy: Policy = policy.to_string().parse().unwrap();
    let context: AuthorizationContext = ["i:x"].into_iter().collect();
    let root = "thing:/".parse().unwrap();
    let compile = |now| Enforcer::compile(&policy, None, now, |_| None).unwrap();
    let before = compile(at(EXPIRY) - Duration::from_nanos(1));
    assert_eq!(before.expires_at(), Some(at(EXPIRY)));
    assert!(before.has_unrestricted(&context, &root, &["READ"]));
    let after = compile(at(EXPIRY));
    assert_eq!(after.expires_at(), None);
    // The other one of the same id now counts in what refers to it.
    let entries = ["READ", "WRITE"].map(|name| after.has_unrestricted(&context, &root, &[name]));
    assert_eq!(entries, [true, true]);
    let alone: Policy = json!({ "entries": { "a": { "subjects": { "i:x": { "type": "t", "expiry": EXPIRY } },
        "resources": { "thing:/": { "grant": ["READ"], "revoke": [] } } } } })
    .to_string()
    .parse()
    .unwrap();
    let alone = Enforcer::compile(&alone, None, at(EXPIRY), |_| None).unwrap();
    assert!(!alone.has_partial(&context, &root, &["READ"]));
}

#[test]
fn entries_of_other_namespaces_do_not_count() {
    let policy: Policy =
        json!({ "entries": { "a": entry("i:x", "thing:/", json!({ "namespaces": ["a.b", "c.*"] })) } })
            .to_string()
            .parse()
            .unwrap();
    let context: AuthorizationContext = ["i:x"].into_iter().collect();
    for (namespace, reads) in [("a.b", true), ("c.d.e", true), ("c", false), ("a.b.c", false), ("", false)] {
        let enforcer = Enforcer::compile(&policy, Some(namespace), at(EXPIRY), |_| None).unwrap();
        assert_eq!(enforcer.view(&context) == crate::View::whole(), reads, "{namespace}");
    }
}
