//! A connection that cannot work, beside one that does.

use anyhow::ensure;
use ditto_connection::ConnectionStatus;
use ditto_connectivity::{ConnectionCommand, Put, Recovery, RegistryError, Word};

use crate::{Service, ensure_each_once, eventually, id, to};

#[test]
fn what_does_not_work_says_why_and_disturbs_nobody() -> anyhow::Result<()> {
    const OUT: [&str; 2] = ["registry-works", "registry-mended"];
    let service = Service::start("registry-trouble")?;
    let (broker, registry) = (service.broker.clone(), service.registry.clone());
    for out in OUT {
        broker.create_topic(out, 2, &[])?;
    }
    service.put(&to("works", &broker.listeners.plaintext, OUT[0]))?;
    service.block_on(registry.command(&id("works"), ConnectionCommand::Open))?;

    let with = |password: &str| {
        let mut definition = to("login", &broker.listeners.sasl_plaintext, OUT[1]);
        definition["uri"] =
            format!("tcp://{}:{password}@{}", broker.username, broker.listeners.sasl_plaintext).into();
        definition["specificConfig"]["saslMechanism"] = "plain".into();
        definition
    };
    let refused = |definition| match service.put(&definition) {
        Ok(Put::Created(_)) => {
            let id = id(definition["id"].as_str().unwrap());
            service.block_on(registry.command(&id, ConnectionCommand::Open)).map(drop)
        }
        other => other.map(drop),
    };
    for definition in [with("wrong"), to("nowhere", "127.0.0.1:1", "t")] {
        let name = definition["id"].as_str().unwrap().to_owned();
        let Err(error @ RegistryError::Failed { .. }) = refused(definition) else { panic!("{name}") };
        assert_eq!((error.status(), error.code().name()), (504, "connectivity:connection.failed"));
        let stored = registry.get(&id(&name)).unwrap();
        assert_eq!(stored.connection.status(), ConnectionStatus::Open, "it is what it is to be");
        let standing = registry.status(&id(&name)).unwrap();
        assert_eq!((standing.desired, standing.recovery), (ConnectionStatus::Open, Recovery::Ongoing));
        let word = Word::Misconfigured;
        assert_eq!((standing.live, standing.client.word), (word, word), "{standing:?}");
        let why = standing.client.reason.unwrap();
        let port = if name == "nowhere" { "127.0.0.1:1" } else { &broker.listeners.sasl_plaintext };
        assert!(why.contains(port) && !why.contains("wrong"), "{why}");
        // Who asks once more is answered, too.
        let again = service.block_on(registry.command(&id(&name), ConnectionCommand::Open));
        assert!(matches!(again, Err(RegistryError::Failed { .. })), "{again:?}");
    }
    service.write(0..100)?;
    broker.wait_for(OUT[0], 100)?;

    // The right password: what was waited for comes, since the connection was to be open all the while.
    assert!(matches!(service.put(&with(&broker.password)), Ok(Put::Modified(_))));
    broker.wait_for(OUT[1], 100)?;
    assert_eq!(registry.status(&id("login")).unwrap().live, Word::Open);
    service.delete("nowhere");
    let report = service.stop()?;
    ensure!(report.totals().failed == 0, "{report}");
    for out in OUT {
        ensure_each_once(&broker.contents(out)?, 0..100)?;
    }
    Ok(())
}

#[test]
fn what_is_not_served_yet_is_kept_and_says_so() -> anyhow::Result<()> {
    let service = Service::start("registry-not-served")?;
    let mut definition = to("a", &service.broker.listeners.plaintext, "t");
    definition["specificConfig"]["is-diversion-target"] = true.into();
    definition["targets"][0]["topics"] = serde_json::json!([]);
    service.put(&definition)?;
    let error = service.block_on(service.registry.command(&id("a"), ConnectionCommand::Open)).unwrap_err();
    assert!(error.remedy().contains("/specificConfig/is-diversion-target"), "{error:?}");
    let standing = service.registry.status(&id("a")).unwrap();
    assert_eq!((standing.live, standing.desired), (Word::Misconfigured, ConnectionStatus::Open));
    assert!(service.report().lanes().is_empty(), "nothing of it runs");
    service.stop()?;
    Ok(())
}

#[test]
fn a_lane_that_fails_is_started_anew() -> anyhow::Result<()> {
    const OUT: &str = "registry-restarted";
    let service = Service::start("registry-lane-fails")?;
    let (broker, registry) = (service.broker.clone(), service.registry.clone());
    broker.create_topic(OUT, 2, &[])?;
    service.put(&to("a", &broker.listeners.plaintext, OUT))?;
    service.block_on(registry.command(&id("a"), ConnectionCommand::Open))?;
    service.write(0..100)?;
    broker.wait_for(OUT, 100)?;
    // Records that are gone before they were read: nobody goes on silently, and the process does not end.
    broker.delete_topic(&service.feed)?;
    broker.create_topic(&service.feed, 2, &[])?;
    service.write(100..110)?;
    let failed = || registry.status(&id("a")).unwrap();
    eventually("the lane has failed", || Ok(failed().live == Word::Failed))?;
    let why = failed().client.reason.unwrap();
    assert!(why.contains("its lane has failed") && why.contains(&service.feed), "{why}");
    assert_eq!(failed().recovery, Recovery::Ongoing);
    // Who opens it once more decides to leave behind what is gone.
    service.block_on(registry.command(&id("a"), ConnectionCommand::Close))?;
    service.block_on(registry.command(&id("a"), ConnectionCommand::Open))?;
    service.write(110..120)?;
    broker.wait_for(OUT, 110)?;
    service.stop()?;
    ensure_each_once(&broker.contents(OUT)?, (0..100).chain(110..120))
}
