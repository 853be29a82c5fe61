//! Connections with sources: their targets run, and nothing says that more does.

use ditto_connectivity::{ConnectionCommand, RegistryError, Word};
use ditto_tests::secrets::secret;
use serde_json::{Value, json};

use crate::{Service, ensure_each_once, eventually, id, to};

fn sources() -> Value {
    json!([
        {"addresses": ["in-a", "in-b"], "consumerCount": 2, "authorizationContext": ["a:b"]},
        {"addresses": ["in-c"], "consumerCount": 0, "authorizationContext": ["a:b"]},
    ])
}

/// The addresses of the entries about sources in a connection's log.
fn told(service: &Service, name: &str) -> Vec<String> {
    let logs = service.registry.observation(&id(name)).logs();
    let entries = logs["connectionLogs"].as_array().unwrap().iter();
    let of_sources = entries.filter(|entry| {
        (&entry["category"], &entry["type"], &entry["level"])
            == (&json!("source"), &json!("other"), &json!("failure"))
    });
    of_sources.map(|entry| entry["address"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn targets_run_and_sources_are_said_to_be_left_to_ditto() -> anyhow::Result<()> {
    const OUT: &str = "registry-sourced";
    let service = Service::start("registry-sources")?;
    let (broker, registry) = (service.broker.clone(), service.registry.clone());
    broker.create_topic(OUT, 2, &[])?;
    let mut definition = to("a", &broker.listeners.plaintext, OUT);
    definition["sources"] = sources();
    service.put(&definition)?;
    // What has a record each is known to work.
    service.block_on(registry.command(&id("a"), ConnectionCommand::Open))?;
    service.write(0..100)?;
    broker.wait_for(OUT, 100)?;
    let standing = registry.status(&id("a")).unwrap();
    assert_eq!((standing.live, standing.client.word), (Word::Open, Word::Open));
    let addresses: Vec<_> = standing.sources.iter().map(|(address, _)| address.as_str()).collect();
    assert_eq!(addresses, ["in-a", "in-a", "in-b", "in-b"], "one for each consumer that Ditto has");
    for (_, source) in &standing.sources {
        assert_eq!((source.word, source.since), (Word::Closed, None));
        assert!(source.reason.as_ref().unwrap().contains("Ditto's own service must keep consuming"));
    }
    assert_eq!(told(&service, "a"), ["in-a", "in-b"]);
    // Each opening says it, and each change of what is open.
    service.block_on(registry.command(&id("a"), ConnectionCommand::Close))?;
    assert_eq!(registry.status(&id("a")).unwrap().sources, []);
    service.block_on(registry.command(&id("a"), ConnectionCommand::Open))?;
    assert_eq!(told(&service, "a").len(), 4);
    definition["name"] = "other".into();
    service.put(&definition)?;
    assert_eq!(told(&service, "a").len(), 6);
    service.put(&definition)?;
    assert_eq!(told(&service, "a").len(), 6, "nothing has changed");
    service.stop()?;
    ensure_each_once(&broker.contents(OUT)?, 0..100)
}

#[test]
fn without_targets_it_connects_and_reads_nothing() -> anyhow::Result<()> {
    const OUT: &str = "registry-no-target";
    let service = Service::start("registry-without-targets")?;
    let (broker, registry) = (service.broker.clone(), service.registry.clone());
    broker.create_topic(OUT, 2, &[])?;
    let with = |uri: String, targets: &Value| {
        let mut definition = to("a", &broker.listeners.sasl_plaintext, OUT);
        definition["uri"] = uri.into();
        definition["specificConfig"]["saslMechanism"] = "plain".into();
        definition["sources"] = sources();
        definition["targets"] = targets.clone();
        definition
    };
    let login =
        |password: &str| format!("tcp://{}:{password}@{}", broker.username, broker.listeners.sasl_plaintext);
    let (none, some) = (json!([]), to("a", "", OUT)["targets"].clone());
    service.put(&with(login(&broker.password), &none))?;
    service.block_on(registry.command(&id("a"), ConnectionCommand::Open))?;
    let standing = registry.status(&id("a")).unwrap();
    assert_eq!((standing.live, standing.targets.len()), (Word::Open, 0));
    assert!(service.report().lanes().is_empty(), "there is nothing to read for it");
    service.write(0..50)?;

    // It gets a target, and with it a lane, which begins as each does the first time: here at the earliest record.
    service.put(&with(login(&broker.password), &some))?;
    assert_eq!(service.report().lanes().len(), 1);
    service.write(50..100)?;
    broker.wait_for(OUT, 100)?;
    service.put(&with(login(&broker.password), &none))?;
    assert!(service.report().lanes().is_empty());
    assert_eq!(registry.status(&id("a")).unwrap().live, Word::Open);
    service.write(100..150)?;
    // Meanwhile it was not served.
    service.put(&with(login(&broker.password), &some))?;
    service.write(150..200)?;
    broker.wait_for(OUT, 150)?;
    service.put(&with(login(&broker.password), &none))?;

    // Another login is tried, too.
    let refused = service.put(&with(login("wrong"), &none));
    assert!(matches!(refused, Err(RegistryError::Failed { .. })), "{refused:?}");
    eventually("it cannot log in", || Ok(registry.status(&id("a")).unwrap().live == Word::Misconfigured))?;
    service.put(&with(login(&broker.password), &none))?;
    service.block_on(registry.command(&id("a"), ConnectionCommand::Close))?;
    assert_eq!(registry.status(&id("a")).unwrap().live, Word::Closed);
    service.delete("a");
    let report = service.stop()?;
    assert_eq!(report.totals().published, 150);
    ensure_each_once(&broker.contents(OUT)?, (0..100).chain(150..200))
}

/// Ditto cannot write such a password down for its client.
#[test]
fn a_password_may_have_a_quote() -> anyhow::Result<()> {
    let service = Service::start("registry-quoted")?;
    let broker = service.broker.clone();
    broker.set_password("quoted", &secret("a\"b"))?;
    let mut definition = to("a", &broker.listeners.sasl_plaintext, "t");
    definition["specificConfig"]["saslMechanism"] = "scram-sha-256".into();
    definition["sources"] = sources();
    definition["targets"] = json!([]);
    for (password, works) in [("a%22b", true), ("a%22c", false)] {
        let password = secret(password);
        definition["uri"] = format!("tcp://quoted:{password}@{}", broker.listeners.sasl_plaintext).into();
        let text = definition.to_string();
        let connection = ditto_connection::Draft::of_command(&text).read()?;
        let tried = service.block_on(service.registry.test(&connection));
        assert_eq!(tried.is_ok(), works, "{tried:?}");
    }
    service.stop()?;
    Ok(())
}
