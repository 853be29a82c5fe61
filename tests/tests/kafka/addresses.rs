//! Topic, key and partition: the three forms of an address, keys, turns.

use std::fs;
use std::path::Path;

use anyhow::Context;
use ditto_tests::broker::Broker;
use ditto_tests::service::{Setup, definition, event};
use serde_json::{Value, json};

const SIGNALS: usize = 300;

#[test]
fn three_forms_of_an_address() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    for (topic, partitions) in [("forms-key", 3), ("forms-partition", 3), ("forms-bare", 3)] {
        broker.create_topic(topic, partitions, &[])?;
    }
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let target = |address: &str| {
        json!({
            "address": address, "topics": ["_/_/things/twin/events"],
            "authorizationContext": ["integ:reader"], "headerMapping": {"constant": "c"},
        })
    };
    let targets =
        json!([target("forms-key/{{ thing:id }}"), target("forms-partition#1"), target("forms-bare")]);
    setup.connection(&definition("forms", &broker.listeners.plaintext, &targets))?;
    let signals: Vec<String> = (0..SIGNALS).map(|n| event(&format!("t-{}", n % 7), n, &json!({}))).collect();
    setup.lines("internal_headers = \"trust\"", &signals)?;
    setup.run()?.expect_code(0)?;

    let number = |id: String| -> anyhow::Result<usize> {
        Ok(id.strip_prefix("n-").context("no correlation id of ours")?.parse()?)
    };
    let keyed = broker.consume("forms-key")?;
    assert_eq!(keyed.len(), SIGNALS);
    for thing in 0..7 {
        let key = format!("org.acme:t-{thing}");
        let of_thing: Vec<_> = keyed.iter().filter(|record| record.key_text() == key).collect();
        let partition = ditto_kafka::partition_of_key(key.as_bytes(), 3);
        assert!(of_thing.iter().all(|record| record.partition == partition), "{key} is on other partitions");
        let numbers: Vec<_> = of_thing
            .iter()
            .map(|record| number(record.header("correlation-id")))
            .collect::<Result<_, _>>()?;
        let expected: Vec<_> = (0..SIGNALS).filter(|n| n % 7 == thing).collect();
        assert_eq!(numbers, expected, "order of {key}");
    }
    let fixed = broker.consume("forms-partition")?;
    assert_eq!(fixed.len(), SIGNALS);
    for (n, record) in fixed.iter().enumerate() {
        assert_eq!((record.partition, number(record.header("correlation-id"))?), (1, n));
        assert_eq!(record.key, None);
        let value: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default())?;
        assert_eq!(value["value"], n);
        assert_eq!(
            record.headers,
            [
                ("content-type".to_owned(), b"application/vnd.eclipse.ditto+json".to_vec()),
                ("correlation-id".to_owned(), format!("n-{n}").into_bytes()),
                ("constant".to_owned(), b"c".to_vec()),
                ("ditto-connection-id".to_owned(), b"forms".to_vec()),
            ]
        );
    }
    let bare = broker.consume("forms-bare")?;
    for partition in 0..3 {
        let of_partition = bare.iter().filter(|record| record.partition == partition);
        let numbers: Vec<_> =
            of_partition.map(|record| number(record.header("correlation-id"))).collect::<Result<_, _>>()?;
        let first = *numbers.first().context("an empty partition")?;
        let every_third: Vec<_> = (first % 3..SIGNALS).step_by(3).collect();
        assert_eq!(numbers, every_third, "partition {partition}");
    }
    Ok(())
}

/// The table was computed by Java's client (crates/ditto-kafka/tests/vectors/Murmur2Partitions.java).
#[test]
fn keys_land_where_java_puts_them() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let table = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/ditto-kafka/tests/vectors/murmur2-partitions.tsv");
    let table = fs::read_to_string(table)?;
    let mut keys = Vec::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let mut parts = line.split('\t');
        let key = unhex(parts.next().context("no key")?)?;
        let partitions: Vec<i32> = parts.map(str::parse).collect::<Result<_, _>>()?;
        // A key comes out of JSON, so it is text; and an empty one is no key.
        if let Ok(key) = String::from_utf8(key)
            && !key.is_empty()
        {
            keys.push((key, partitions));
        }
    }
    assert!(keys.len() > 30, "only {} keys", keys.len());
    let columns = [("java-keys-1", 1), ("java-keys-3", 3), ("java-keys-7", 7), ("java-keys-50", 50)];
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let mut targets = Vec::new();
    for (topic, partitions) in columns {
        broker.create_topic(topic, partitions, &[])?;
        targets.push(json!({
            "address": format!("{topic}/{{{{ header:key }}}}"), "topics": ["_/_/things/twin/events"],
            "authorizationContext": ["integ:reader"],
        }));
    }
    setup.connection(&definition("java-keys", &broker.listeners.plaintext, &Value::Array(targets)))?;
    let signals: Vec<String> =
        keys.iter().enumerate().map(|(n, (key, _))| event("t", n, &json!({"key": key}))).collect();
    setup.lines("internal_headers = \"trust\"", &signals)?;
    setup.run()?.expect_code(0)?;
    for (column, (topic, _)) in columns.iter().enumerate() {
        let records = broker.consume(topic)?;
        assert_eq!(records.len(), keys.len());
        for (key, partitions) in &keys {
            let record = records.iter().find(|record| record.key_text() == *key).context(key.clone())?;
            assert_eq!(record.partition, partitions[column], "key `{key}` in {topic}");
        }
    }
    Ok(())
}

fn unhex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<u32> =
        text.chars().map(|digit| digit.to_digit(16).context("no hex digit")).collect::<Result<_, _>>()?;
    digits.chunks(2).map(|pair| Ok(u8::try_from(pair[0] * 16 + pair[1])?)).collect()
}
