use std::time::Duration;

use ditto_json::{Extraction, Places, merge_objects};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::arbitrary::{filter, pointer, thing};
use crate::property::Placeholder;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A thing with a signal: each placeholder has these values.
struct WithSignal<'s>(&'s Value, &'s [&'s str]);

impl Fields for WithSignal<'_> {
    fn values(&self, path: &JsonPointer, visit: &mut dyn FnMut(Scalar<'_>) -> ControlFlow<()>) {
        self.0.values(path, visit);
    }

    fn presence(&self, path: &JsonPointer) -> Presence {
        self.0.presence(path)
    }

    fn placeholder(&self, _: &Placeholder, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) {
        let _ = self.1.iter().try_for_each(|value| visit(value));
    }
}

#[track_caller]
fn check(filter: &str, values: &[&str], expected: bool) {
    let thing = json!({"_revision": 3, "features": {"bare": {}, "half": {"properties": {}}}, "attributes": {"nil": null}});
    let filter: Filter = filter.parse().unwrap();
    assert_eq!(filter.matches(&WithSignal(&thing, values), now()), expected, "{filter} {values:?}");
}

#[test]
fn of_a_placeholder_the_first_value_counts() {
    check("eq(feature:id,\"x1\")", &["x1", "x2"], true);
    check("eq(feature:id,\"x2\")", &["x1", "x2"], false);
    check("ne(feature:id,\"x1\")", &["x1", "x2"], false);
    check("ne(feature:id,\"x1\")", &[], true);
    check("exists(feature:id)", &[], false);
    check("exists(feature:id)", &[""], true);
    check("empty(feature:id)", &["", ""], true);
    check("empty(feature:id)", &["", "x"], false);
}

#[test]
fn whole_features_and_hidden_fields() {
    check("empty(features/bare)", &[], true);
    check("empty(features/half)", &[], false);
    check("empty(features/half/properties)", &[], true);
    check("exists(features/bare)", &[], true);
    check("empty(features/none)", &[], true);
    check("eq(_revision,3)", &[], true);
    check("exists(_revision)", &[], false);
    check("empty(_revision)", &[], true);
}

#[test]
fn a_time_that_says_nothing_is_null() {
    check("eq(attributes/nil,time:never)", &[], true);
    check("le(attributes/nil,time:never)", &[], false);
    check("lt(attributes/nil,time:now)", &[], false);
    check("in(attributes/nil,null,time:never)", &[], false);
}

/// Notes what it is asked for.
#[derive(Default)]
struct Asked(std::cell::RefCell<Vec<JsonPointer>>);

impl Fields for Asked {
    fn values(&self, path: &JsonPointer, _: &mut dyn FnMut(Scalar<'_>) -> ControlFlow<()>) {
        self.0.borrow_mut().push(path.clone());
    }

    fn presence(&self, path: &JsonPointer) -> Presence {
        self.0.borrow_mut().push(path.clone());
        Presence::Absent
    }
}

#[track_caller]
fn possible(filter: &str, pending: &str, expected: Truth) {
    let thing = json!({"thingId": "a:b", "_revision": 3, "attributes": {"n": 5}});
    let pending = Pending::of([&pending.parse().unwrap()]);
    assert_eq!(filter.parse::<Filter>().unwrap().could_match(&thing, &pending, now()), expected, "{filter}");
}

#[test]
fn what_may_come_is_unknown() {
    possible("eq(attributes/site,1)", "attributes/site", Truth::Unknown);
    possible("not(eq(attributes/site,1))", "attributes/site", Truth::Unknown);
    possible("eq(attributes/site,1)", "attributes/other", Truth::False);
    possible("and(eq(attributes/site,1),eq(attributes/n,6))", "attributes/site", Truth::False);
    possible("or(eq(attributes/site,1),eq(attributes/n,5))", "attributes/site", Truth::True);
    possible("exists(features/lamp)", "features/lamp/properties/on", Truth::Unknown);
    possible("eq(policyId,\"x\")", "policyId", Truth::Unknown);
    // Neither of these depends on what comes.
    possible("exists(_revision)", "_revision", Truth::False);
    possible("gt(attributes/site,null)", "attributes/site", Truth::False);
}

/// The rules once more, as simple as they can be said, on values; without what has unit tests of its own.
fn naive(expression: &Expression, thing: &Value) -> bool {
    match expression {
        Expression::And(parts) => parts.iter().all(|part| naive(part, thing)),
        Expression::Or(parts) => parts.iter().any(|part| naive(part, thing)),
        Expression::Not(inner) => !naive(inner, thing),
        Expression::Is(predicate) => {
            let name = predicate.property.to_string();
            let path: Vec<&str> = name.split('/').filter(|segment| !segment.is_empty()).collect();
            let found = lookup(thing, &path);
            let is_hidden = name.starts_with('_') && path.len() == 1 && name != "_metadata/";
            match &predicate.condition {
                Condition::Exists => !is_hidden && found.is_some(),
                Condition::Empty if is_hidden => true,
                Condition::Empty if name.starts_with("features") && path.len() == 2 => {
                    let parts = ["definition", "properties", "desiredProperties"];
                    parts.iter().all(|part| lookup(thing, &[path[0], path[1], part]).is_none())
                }
                Condition::Empty => match found {
                    None | Some(Value::Null) => true,
                    Some(Value::String(text)) => text.is_empty(),
                    Some(Value::Array(elements)) => elements.is_empty(),
                    Some(Value::Object(members)) => members.is_empty(),
                    Some(_) => false,
                },
                Condition::Compare(comparison, literal) => {
                    let literal = literal_value(&literal.to_string());
                    let found =
                        scalars(found).iter().any(|value| naive_compare(comparison.name(), value, &literal));
                    found != (comparison.name() == "ne")
                }
                Condition::In(choices) => {
                    choices.literals().iter().map(|it| literal_value(&it.to_string())).any(|literal| {
                        !literal.is_null()
                            && scalars(found.clone()).iter().any(|value| naive_compare("eq", value, &literal))
                    })
                }
                Condition::Like(pattern) => scalars(found).iter().any(|value| match value {
                    Value::Null => pattern.as_str() == "*",
                    value => pattern.matches(&shown(value)),
                }),
            }
        }
    }
}

/// What is at a path; what is collected out of arrays is an array.
fn lookup(value: &Value, path: &[&str]) -> Option<Value> {
    let Some((name, below)) = path.split_first() else { return Some(value.clone()) };
    match value {
        Value::Object(members) => lookup(members.get(*name)?, below),
        Value::Array(elements) => {
            let objects = elements.iter().filter(|element| element.is_object());
            let found: Vec<_> = objects.filter_map(|element| lookup(element, path)).collect();
            if found.is_empty() { None } else { Some(Value::Array(found)) }
        }
        _ => None,
    }
}

fn scalars(value: Option<Value>) -> Vec<Value> {
    match value {
        None | Some(Value::Object(_)) => Vec::new(),
        Some(Value::Array(elements)) => {
            elements.into_iter().flat_map(|element| scalars(Some(element))).collect()
        }
        Some(scalar) => vec![scalar],
    }
}

fn literal_value(literal: &str) -> Value {
    match literal {
        "time:now" => json!("2027-01-15T08:00:00Z"),
        "time:never" => Value::Null,
        text => serde_json::from_str(text).unwrap(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // The only one of these numbers that Java writes otherwise.
        Value::Number(number) if number.as_f64() == Some(1e7) && number.is_f64() => "1.0E7".to_owned(),
        other => other.to_string(),
    }
}

/// Numbers of these tests, in halves, exactly.
fn halves(value: &Value) -> Option<i128> {
    let text = shown(value);
    let text = if text == "1.0E7" { "10000000" } else { &text };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_negative = whole.starts_with('-');
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if value.is_string() && digits.is_empty() && fraction == "0" && !text.contains('.') {
        return None;
    }
    let whole: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let fraction = match fraction {
        "0" => 0,
        "" if !digits.is_empty() => 0,
        "5" => 1,
        "1" => return None,
        _ => return None,
    };
    let size = whole * 2 + fraction;
    Some(if is_negative { -size } else { size })
}

fn naive_compare(operator: &str, value: &Value, literal: &Value) -> bool {
    let is_number = value.is_number() || literal.is_number();
    let by_text = |a: &Value, b: &Value| shown(a).cmp(&shown(b));
    let order = match (value, literal) {
        (Value::Null, Value::Null) => return operator == "eq" || operator == "ne",
        (Value::Null, _) | (_, Value::Null) => return false,
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Bool(_), _) | (_, Value::Bool(_)) => by_text(value, literal),
        _ if is_number => match (halves(value), halves(literal)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => by_text(value, literal),
        },
        _ => by_text(value, literal),
    };
    match operator {
        "gt" => order.is_gt(),
        "ge" => order.is_ge(),
        "lt" => order.is_lt(),
        "le" => order.is_le(),
        _ => order.is_eq(),
    }
}

/// `.1`, `1.1` and the like are numbers in a text, and not counted in halves.
fn is_counted(filter: &str, thing: &str) -> bool {
    !filter.contains(".1") && !thing.contains(".1")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn as_the_rules_say(text in filter(), thing in thing()) {
        prop_assume!(is_counted(&text, &thing.to_string()));
        let filter: Filter = text.parse().unwrap();
        let expected = naive(&filter.expression, &thing);
        prop_assert_eq!(filter.matches(&thing, now()), expected);
        let text = thing.to_string();
        let (extraction, mut places) = (Extraction::new(filter.pointers()), Places::default());
        let raw = extraction.scan(&text, 64, &mut places).unwrap();
        prop_assert_eq!(filter.matches(&raw, now()), expected);
        let explained = filter.explain(&raw, &Pending::nothing(), now());
        prop_assert_eq!(explained.truth, Truth::from(expected));
    }

    /// Whoever compiles its pointers is asked for nothing else.
    #[test]
    fn nothing_is_asked_for_but_its_pointers(text in filter()) {
        let filter: Filter = text.parse().unwrap();
        let asked = Asked::default();
        // All operands, whatever came out before.
        filter.explain(&asked, &Pending::nothing(), now());
        prop_assert_eq!(asked.0.into_inner(), filter.pointers().cloned().collect::<Vec<_>>());
    }

    /// What is decided before the enrichment stays, whatever that brings.
    #[test]
    fn nothing_that_comes_changes_what_is_decided(
        text in filter(), partial in thing(), whole in thing(), pointers in prop::collection::vec(pointer(), 0..4)
    ) {
        let filter: Filter = text.parse().unwrap();
        let pointers: Vec<JsonPointer> = pointers.iter().map(|text| text.parse().unwrap()).collect();
        let mut extra = json!({});
        for pointer in &pointers {
            if let Some(found) = pointer.get(&whole) {
                pointer.set(&mut extra, found.clone());
            }
        }
        let pending = Pending::of(&pointers);
        let before = filter.could_match(&partial, &pending, now());
        prop_assert_eq!(filter.explain(&partial, &pending, now()).truth, before);
        let mut merged = partial;
        merge_objects(&mut merged, &extra);
        let after = Truth::from(filter.matches(&merged, now()));
        prop_assert!(before == Truth::Unknown || before == after, "{} then {}", before, after);
    }
}
