//! Merge patch and the merge of an event with its enrichment (protocol.md §8, §9).

use std::fmt;

use serde_json::{Map, Value};

/// A member name of a merge patch is a pattern that is no regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError {
    pattern: String,
}

impl PatternError {
    /// Ditto has no code of its own for it: it breaks there.
    pub fn code(&self) -> &'static str {
        "json.invalid"
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no regular expression", self.pattern)
    }
}

impl std::error::Error for PatternError {}

/// Applies `patch` to `target` by RFC 7396, with one extension of Ditto: a member named `{{ /regex/ }}` or
/// `{{ ~regex~ }}` with value null deletes every member of the target whose whole name matches; what the patch itself
/// says of such a member is applied after that, wherever it stands.
///
/// # Errors
/// A pattern is no valid regular expression, whatever its value is; then a part of the patch may be applied.
pub fn merge_patch(target: &mut Value, patch: &Value) -> Result<(), PatternError> {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return Ok(()) };
    for (name, change) in changes {
        let Some(pattern) = deletion_pattern(name) else { continue };
        let regex = regex::Regex::new(pattern)
            .and_then(|_| regex::Regex::new(&format!("^(?:{pattern})$")))
            .map_err(|_| PatternError { pattern: pattern.to_owned() })?;
        if change.is_null() {
            members.retain(|member, _| !regex.is_match(member));
        }
    }
    for (name, change) in changes {
        if change.is_null() {
            members.shift_remove(name);
        } else {
            merge_patch(members.entry(name.as_str()).or_insert(Value::Null), change)?;
        }
    }
    Ok(())
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
        assert_eq!(merge_patch(&mut target, &patch), Ok(()));
        assert_eq!(target, expected);
    }

    #[test]
    fn deletes_by_pattern_but_never_sets_by_it() {
        check(json!({"f1": 1, "g": 2}), json!({"{{ /f.*/ }}": null}), json!({"g": 2}));
        check(json!({"a/b": 1, "c": 2}), json!({"{{~a/.~}}": null}), json!({"c": 2}));
        check(json!({"f1": 1}), json!({"{{ /f.*/ }}": 5}), json!({"f1": 1, "{{ /f.*/ }}": 5}));
    }

    #[test]
    fn a_pattern_is_a_regular_expression() {
        for patch in
            [json!({"{{ /(/ }}": null}), json!({"a": {"{{~[~}}": 5}}), json!({"{{ /a)|(b/ }}": null})]
        {
            let error = merge_patch(&mut json!({"a": 1}), &patch).map_err(|error| error.code());
            assert_eq!(error, Err("json.invalid"), "{patch}");
        }
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
            prop_assert_eq!(merge_patch(&mut ours, &patch), Ok(()));
            let mut theirs = target;
            json_patch::merge(&mut theirs, &patch);
            prop_assert_eq!(ours, theirs);
        }
    }
}
