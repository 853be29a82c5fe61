use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// What the reference's values are in the rows of the vector file: an attribute was modified on a thing.
struct Context {
    thing: (String, String),
    headers: HashMap<String, String>,
}

impl Resolve for Context {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        let (namespace, name) = &self.thing;
        let text = match placeholder {
            Placeholder::ThingId | Placeholder::EntityId => format!("{namespace}:{name}"),
            Placeholder::ThingNamespace | Placeholder::EntityNamespace => namespace.clone(),
            Placeholder::ThingName | Placeholder::EntityName => name.clone(),
            Placeholder::TopicFull => format!("{namespace}/{name}/things/twin/events/modified"),
            Placeholder::ConnectionId => "conn-1".to_owned(),
            Placeholder::ResourcePath => "/attributes/rpm".to_owned(),
            Placeholder::Header(header) => self.headers.get(header)?.clone(),
            _ => return None,
        };
        out.push_str(&text);
        Some(())
    }
}

fn context(row: &Value) -> Context {
    let thing = row["context"]["thingId"].as_str().unwrap_or("org.acme:press-4");
    let (namespace, name) = thing.split_once(':').unwrap();
    let headers = row["context"]["headers"].as_object().into_iter().flatten();
    Context {
        thing: (namespace.to_owned(), name.to_owned()),
        headers: headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect(),
    }
}

/// Every row, at configuration time and at run time.
#[test]
fn addresses_answer_as_the_reference() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/kafka-addresses.ndjson");
    let text = std::fs::read_to_string(file).unwrap();
    let mut checked = 0;
    for line in text.lines().filter(|line| !line.contains("\"_meta\"")) {
        let row: Value = serde_json::from_str(line).unwrap();
        let (id, address) = (row["id"].as_str().unwrap(), row["address"].as_str().unwrap());
        checked += 1;
        assert_eq!(address.parse::<KafkaAddress>().is_ok(), row["config_time"]["ok"] == true, "{id}");
        let mut resolved = String::new();
        let expected = &row["run_time"];
        let outcome = expected["outcome"].as_str().unwrap();
        let Ok(template) = address.parse::<Template>() else {
            assert_eq!(outcome, "not-reachable", "{id}");
            continue;
        };
        if template.resolve_into(&context(&row), &mut resolved).unwrap() != Resolution::Resolved {
            assert_eq!(outcome, "dropped-unresolved", "{id}");
            continue;
        }
        assert_eq!(expected["resolved"], resolved, "{id}");
        match ResolvedAddress::parse(&resolved) {
            Ok(parsed) => {
                assert_eq!(outcome, "ok", "{id}");
                assert_eq!(expected["topic"], parsed.topic, "{id}");
                assert_eq!(expected["key"].as_str(), parsed.key, "{id}");
                assert_eq!(expected["partition"].as_i64(), parsed.partition.map(i64::from), "{id}");
            }
            // What only the reference's client refuses must be an error here too.
            Err(_) => assert!(matches!(outcome, "error" | "client-rejects-record"), "{id} {outcome}"),
        }
    }
    assert_eq!(checked, 54);
}

#[test]
fn mistakes_have_a_place() {
    let check = |text: &str, at: usize, reason: &str| {
        let error = text.parse::<KafkaAddress>().unwrap_err();
        assert_eq!((error.at(text), error.to_string().contains(reason)), (at, true), "{text}: {error}");
        assert_eq!(error.caret(text), caret(text, at));
    };
    check("to pic/key", 2, "no topic");
    check("{{ header:a b }}-ü/key", 17, "no topic");
    check("..", 0, "no topic");
    check("{{ thing:idd }}", 3, "no placeholder");
    check("t/a{{ header:k | fn:base64-decode() }}", 17, "no base64");
    check("t/{{ header:k | fn:substring-after('x') }}", 2, "give nothing");
    check("t/", 2, "nothing follows");
    check("ünicode#", 9, "nothing follows");
    check("t{{ thing:name }}#x", 18, "no partition");
    let resolved = "t#{{";
    assert_eq!(ResolvedAddress::parse(resolved).unwrap_err().at(resolved), 2);
    assert_eq!(caret("ä/ü", 3), "ä/ü\n  ^");
    assert_eq!(caret("ä", 1), "ä\n ^", "no character starts there");
}

#[test]
fn outlines_are_what_is_written() {
    let check = |text: &str, topic: &str, key: Option<&str>, partition: Option<&str>| {
        let AddressOutline { topic: t, key: k, partition: p } =
            text.parse::<KafkaAddress>().unwrap().outline();
        assert_eq!((t.as_str(), k.as_deref(), p.as_deref()), (topic, key, partition), "{text}");
    };
    check("t", "t", None, None);
    check("t/a#b/c", "t", Some("a#b/c"), None);
    check("t#3", "t", None, Some("3"));
    check("{{thing:namespace}}-x/{{ thing:id }}", "{{ thing:namespace }}-x", Some("{{ thing:id }}"), None);
    check("t#{{ header:p | fn:replace('/','#') }}", "t", None, Some("{{ header:p | fn:replace('/', '#') }}"));
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC*|[a-z/#{}: ]*") {
        let _ = text.parse::<KafkaAddress>();
        if let Ok(address) = ResolvedAddress::parse(&text) {
            prop_assert!(is_topic(address.topic));
            prop_assert!(address.key.is_none_or(|key| !key.is_empty()));
            prop_assert!(address.partition.is_none_or(|partition| partition >= 0));
        }
    }

    #[test]
    fn keys_may_hold_anything(topic in "[a-z._-]{3,9}", key in "\\PC+") {
        let text = format!("{topic}/{key}");
        let parsed = ResolvedAddress::parse(&text);
        prop_assert_eq!(parsed, Ok(ResolvedAddress { topic: &topic, key: Some(&key), partition: None }));
    }
}
