//! Inputs that were dangerous once, each against every law.

mod laws;

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn no_known_input_breaks_a_law() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crashes");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        let data = std::fs::read(file).unwrap();
        laws::connection(&data);
        laws::topic(&data);
    }
}

/// Definitions of the vectors, as they came.
static DEFINITIONS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let rows = include_str!("../../../tests/vectors/connections.ndjson").lines();
    let bodies = rows.filter_map(|row| {
        let row: Value = serde_json::from_str(row).ok()?;
        let mut body = row.pointer("/request/body")?.clone();
        body.as_object_mut()?.entry("id").or_insert(json!("c"));
        // Long names break no law, and take their time.
        (body.to_string().len() < 5_000).then_some(body)
    });
    bodies.collect()
});

/// Pointers of everything in it.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(name, value)| places(value, &format!("{at}/{}", escape(name)), found));
        }
        Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(n, value)| places(value, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
    found.push(at.to_owned());
}

fn anything() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!(-1)),
        Just(json!(1.5)),
        Just(json!(1_u64 << 40)),
        Just(json!(true)),
        Just(json!([])),
        Just(json!({})),
        Just(json!([null, 5, {}, "x"])),
        Just(
            json!({"a": null, "address": 5, "type": "client-cert", "mappingEngine": "Ditto", "options": {}})
        ),
        Just(json!("*****")),
        Just(json!("tcp://user:pw@kafka:9092/x")),
        Just(json!("tcp://user:*****@kafka:9092")),
        Just(json!({"type": "plain", "username": "u", "password": "pw"})),
        Just(json!({"type": "client-cert", "cert": "c", "key": "pw"})),
        Just(json!({"type": "public-key", "username": "u", "publicKey": "p", "privateKey": "pw"})),
        Just(json!("_/_/things/twin/events?filter=eq(attributes/a,%22%26%2B%22)")),
        Just(json!("{{connection:id}}:abc")),
        "\\PC{0,12}".prop_map(Value::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Definitions of the vectors with two places changed: every law holds.
    #[test]
    fn mutated_definitions_break_no_law(
        row in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), anything()), 1..=2),
    ) {
        let mut definition = row.get(&DEFINITIONS).clone();
        for (place, value) in changes {
            let mut found = vec!["/credentials".to_owned(), "/uri".to_owned()];
            places(&definition, "", &mut found);
            let place = place.get(&found);
            if let Some(at) = definition.pointer_mut(place) {
                *at = value;
            } else if let Value::Object(members) = &mut definition {
                members.insert(place.trim_start_matches('/').to_owned(), value);
            }
        }
        laws::connection(definition.to_string().as_bytes());
    }
}
