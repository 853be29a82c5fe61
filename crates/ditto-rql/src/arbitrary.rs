//! Random filters and things: few names and values, so that they meet.

use proptest::prelude::*;
use serde_json::{Map, Value};

/// A text that is a filter.
pub(crate) fn filter() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        (prop::sample::select(vec!["eq", "ne", "gt", "ge", "lt", "le"]), compared(), literal())
            .prop_map(|(operator, property, literal)| format!("{operator}({property},{literal})")),
        (compared(), prop::collection::vec(literal(), 1..4))
            .prop_map(|(property, literals)| format!("in({property},{})", literals.join(","))),
        (prop::sample::select(vec!["like", "ilike"]), compared(), "[abA1?*.]{0,4}")
            .prop_map(|(operator, property, pattern)| format!("{operator}({property},'{pattern}')")),
        (prop::sample::select(vec!["exists", "empty"]), prop_oneof![compared(), whole()])
            .prop_map(|(operator, property)| format!("{operator}({property})")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (prop::sample::select(vec!["and", "or"]), prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(operator, parts)| format!("{operator}({})", parts.join(","))),
            inner.prop_map(|inner| format!("not({inner})")),
        ]
    })
}

/// A property that has a value.
fn compared() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "attributes(/[ab]){1,3}",
        2 => "features/[fg]/(properties|desiredProperties)(/[ab]){1,2}",
        1 => "features/[fg]/definition",
        1 => prop::sample::select(vec!["attributes/", "thingId", "policyId", "_revision", "_metadata/a", "topic:action"])
            .prop_map(ToOwned::to_owned),
    ]
}

/// A property that has none.
fn whole() -> impl Strategy<Value = String> {
    "features/[fg](/properties|/desiredProperties)?"
}

/// The text of a literal.
pub(crate) fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "[+-]?[0-3](\\.[05])?".prop_filter("no `-0`", |text| text != "-0"),
        2 => "\"([abA1.]{0,2}|-?[0-3](\\.0)?)\"",
        1 => "'[ab\"]{0,2}'",
        1 => prop::sample::select(vec!["true", "false", "null", "time:now", "time:never", "9007199254740993"])
            .prop_map(ToOwned::to_owned),
    ]
}

/// A thing, or a part of one.
pub(crate) fn thing() -> impl Strategy<Value = Value> {
    let feature = members(vec![
        ("definition", value().boxed()),
        ("properties", nested()),
        ("desiredProperties", nested()),
    ]);
    members(vec![
        ("thingId", Just(Value::from("a:b")).boxed()),
        ("policyId", Just(Value::from("b")).boxed()),
        ("_revision", (0..3_i32).prop_map(Value::from).boxed()),
        ("_metadata", nested()),
        ("attributes", nested()),
        ("features", members(vec![("f", feature.clone()), ("g", feature)])),
    ])
}

/// An object with some of these members.
fn members(of: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let all = of.into_iter().fold(Just(Map::new()).boxed(), |so_far, (name, value)| {
        (so_far, prop::option::weighted(0.7, value))
            .prop_map(move |(mut members, value)| {
                members.extend(value.map(|value| (name.to_owned(), value)));
                members
            })
            .boxed()
    });
    all.prop_map(Value::Object).boxed()
}

/// An object whose members may be anything.
fn nested() -> BoxedStrategy<Value> {
    prop::collection::btree_map("[ab]", value(), 0..3).prop_map(|members| serde_json::json!(members)).boxed()
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => (-2..3_i32).prop_map(Value::from),
        1 => prop::sample::select(vec![0.5, 1.0, -1.5, 1e7]).prop_map(Value::from),
        1 => prop::sample::select(vec![9_007_199_254_740_992_i64, 9_007_199_254_740_993]).prop_map(Value::from),
        2 => "[abA1.]{0,2}".prop_map(Value::from),
        1 => "-?[0-3](\\.0)?".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|members| serde_json::json!(members)),
        ]
    })
}

/// The text of a pointer to something in such a thing.
pub(crate) fn pointer() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "attributes(/[ab]){0,3}",
        2 => "features(/[fg](/(definition|(properties|desiredProperties)(/[ab]){0,2}))?)?",
        1 => prop::sample::select(vec!["thingId", "policyId", "_revision", "_metadata"]).prop_map(ToOwned::to_owned),
    ]
}
