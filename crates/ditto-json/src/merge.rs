//! Merge patch and the merge of an event with its enrichment (protocol.md §8, §9).

use serde_json::{Map, Value};

/// Applies `patch` to `target` by RFC 7396, with one extension of Ditto: a member named `{{ /regex/ }}` or
/// `{{ ~regex~ }}` with value null deletes every member of the target whose whole name matches; what the patch itself
/// says of such a member is applied after that, wherever it stands.
///
/// A pattern that is no valid regular expression matches nothing; its member is left out either way.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, _) in changes.iter().filter(|(_, change)| change.is_null()) {
        if let Some(pattern) = deletion_pattern(name)
            && let Ok(pattern) = regex::Regex::new(&format!("^(?:{pattern})$"))
        {
            members.retain(|member, _| !pattern.is_match(member));
        }
    }
    for (name, change) in changes {
        if change.is_null() {
            members.shift_remove(name);
        } else {
            merge_patch(members.entry(name.as_str()).or_insert(Value::Null), change);
        }
    }
}

/// Adds to `winner` what only `other` has, recursively through objects; scalars and arrays of `winner` stay.
pub fn merge_objects(winner: &mut Value, other: &Value) {
    let (Value::Object(winner), Value::Object(other)) = (winner, other) else { return };
    for (name, value) in other {
        match winner.get_mut(name) {
            Some(kept) => merge_objects(kept, value),
            None => {
                winner.insert(name.clone(), value.clone());
            }
        }
    }
}

/// The regular expression between the braces of a member name such as `{{ /lamp.*/ }}`.
fn deletion_pattern(name: &str) -> Option<&str> {
    let inner = name.strip_prefix("{{")?.strip_suffix("}}")?.trim();
    ['/', '~'].into_iter().find_map(|delimiter| inner.strip_prefix(delimiter)?.strip_suffix(delimiter))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(mut target: Value, patch: Value, expected: Value) {
        merge_patch(&mut target, &patch);
        assert_eq!(target, expected);
    }

    #[test]
    fn deletes_by_pattern_but_never_sets_by_it() {
        check(json!({"f1": 1, "g": 2}), json!({"{{ /f.*/ }}": null}), json!({"g": 2}));
        check(json!({"a/b": 1, "c": 2}), json!({"{{~a/.~}}": null}), json!({"c": 2}));
        check(json!({"f1": 1}), json!({"{{ /f.*/ }}": 5}), json!({"f1": 1, "{{ /f.*/ }}": 5}));
        check(json!({"f1": 1}), json!({"{{ /(/ }}": null}), json!({"f1": 1}));
    }

    #[test]
    fn what_the_patch_sets_outlives_its_patterns() {
        let target = json!({"f1": 1, "f2": 2});
        check(target.clone(), json!({"{{ /f.*/ }}": null, "f1": {"v": 3}}), json!({"f1": {"v": 3}}));
        check(target, json!({"f1": {"v": 3}, "{{ /f.*/ }}": null}), json!({"f1": {"v": 3}}));
    }

    #[test]
    fn nested_nulls_leave_empty_objects() {
        check(json!({}), json!({"a": {"b": null}}), json!({"a": {}}));
        check(json!([1]), json!({"a": [null, {"b": null}]}), json!({"a": [null, {"b": null}]}));
    }

    #[test]
    fn the_event_wins_over_its_enrichment() {
        let mut event = json!({"a": {"x": 1}, "l": [1]});
        merge_objects(&mut event, &json!({"a": {"x": 9, "y": 2}, "l": [7, 8], "z": 3}));
        assert_eq!(event, json!({"a": {"x": 1, "y": 2}, "l": [1], "z": 3}));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-c]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_rfc_7396(target in value(), patch in value()) {
            let mut ours = target.clone();
            merge_patch(&mut ours, &patch);
            let mut theirs = target;
            json_patch::merge(&mut theirs, &patch);
            prop_assert_eq!(ours, theirs);
        }
    }
}
