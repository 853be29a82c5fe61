//! The reference's example connection, let in by each mechanism; and who must not be talked to.

use std::fs;
use std::path::Path;

use anyhow::Context;
use ditto_tests::broker::Broker;
use ditto_tests::secrets::secret;
use ditto_tests::service::{Setup, event, vectors};
use serde_json::{Value, json};

/// The example with the port of this broker in place of 9092; nothing else of it is touched.
fn example(server: &str) -> anyhow::Result<Value> {
    let text = fs::read_to_string(vectors("seed-example.json"))?;
    Ok(serde_json::from_str(&text.replace("localhost:9092", server))?)
}

/// `127.0.0.1:port` as `localhost:port`, as the example has it.
fn localhost(listener: &str) -> String {
    listener.replace("127.0.0.1", "localhost")
}

fn example_event(n: usize) -> String {
    event("thing", n, &json!({"ditto-read-subjects": ["ditto:outbound-auth-subject"]}))
}

/// Runs one definition with some signals; each must land in the topic.
fn publishes(envelope: &Value, topic: &str) -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    broker.create_topic(topic, 2, &[])?;
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    setup.write("connections/example.json", envelope.to_string())?;
    let signals: Vec<String> = (0..5).map(example_event).collect();
    setup.lines("internal_headers = \"trust\"", &signals)?;
    setup.run()?.expect_code(0)?;
    let records = broker.consume(topic)?;
    let values: Vec<Value> = records
        .iter()
        .map(|record| Ok(serde_json::from_str(&record.value_text())?))
        .collect::<anyhow::Result<_>>()?;
    assert_eq!(values.iter().map(|value| value["value"].clone()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    for record in &records {
        assert_eq!(record.key_text(), "key");
        assert_eq!(record.header("ditto-connection-id"), "kafka-example-connection-123");
    }
    Ok(())
}

#[test]
fn the_example_as_it_stands_over_sasl_plain() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    publishes(&example(&localhost(&broker.listeners.sasl_plaintext))?, "topic")
}

#[test]
fn scram_and_tls_with_an_own_authority() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let ca = fs::read_to_string(&broker.ca)?;
    for (topic, mechanism, is_tls) in [
        ("example-scram-256", "scram-sha-256", false),
        ("example-scram-512", "SCRAM-SHA-512", false),
        ("example-tls-plain", "plain", true),
        ("example-tls-scram-512", "scram-sha-512", true),
    ] {
        let listener = if is_tls { &broker.listeners.sasl_ssl } else { &broker.listeners.sasl_plaintext };
        let mut envelope = example(&localhost(listener))?;
        let connection = &mut envelope["piggybackCommand"]["connection"];
        connection["specificConfig"]["saslMechanism"] = mechanism.into();
        connection["targets"][0]["address"] = format!("{topic}/key").into();
        if is_tls {
            connection["uri"] =
                connection["uri"].as_str().unwrap_or_default().replace("tcp://", "ssl://").into();
            connection["ca"] = ca.as_str().into();
        }
        publishes(&envelope, topic).with_context(|| format!("{mechanism}, tls {is_tls}"))?;
    }
    Ok(())
}

#[test]
fn a_client_certificate_is_shown() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let server = localhost(&broker.listeners.mutual);
    let mut envelope = example(&server)?;
    let connection = &mut envelope["piggybackCommand"]["connection"];
    connection["uri"] = format!("ssl://{server}").into();
    connection["ca"] = fs::read_to_string(&broker.ca)?.into();
    connection["credentials"] = client_certificate()?;
    connection["targets"][0]["address"] = "example-mutual/key".into();
    publishes(&envelope, "example-mutual")
}

/// What clients show of themselves where it is asked for.
fn client_certificate() -> anyhow::Result<Value> {
    let file = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tls").join(name));
    Ok(json!({"type": "client-cert", "cert": file("client.pem")?, "key": file("client-key.pem")?}))
}

/// A certificate for another host, one of an unknown authority, a wrong password, no certificate where one is asked for: nothing is published, the signal has
/// failed with a name, the requester gets 400, and the exit code tells.
#[test]
fn who_cannot_prove_itself_gets_nothing() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    broker.create_topic("must-stay-empty", 1, &[])?;
    let ca = fs::read_to_string(&broker.ca)?;
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let login = |password: &str| format!("{}:{password}", broker.username);
    let right = login(&broker.password);
    let wrong_password = format!("tcp://{}@{}", login(&secret("wrong")), broker.listeners.sasl_plaintext);
    let cases = [
        ("wrong-name", format!("ssl://{right}@{}", broker.listeners.wrong_name), Some(ca.as_str())),
        ("unknown-authority", format!("ssl://{right}@{}", broker.listeners.sasl_ssl), None),
        ("wrong-password", wrong_password, None),
        ("no-certificate", format!("ssl://{}", broker.listeners.mutual), Some(ca.as_str())),
    ];
    for (id, uri, ca) in &cases {
        let server = uri.rsplit(['@', '/']).next().context("no server")?;
        let mut definition = json!({
            "id": id, "connectionType": "kafka", "connectionStatus": "open", "uri": uri,
            "specificConfig": {"bootstrapServers": server, "saslMechanism": "plain"},
            "targets": [{
                "address": "must-stay-empty", "topics": ["_/_/things/twin/events"],
                "authorizationContext": ["integ:reader"], "issuedAcknowledgementLabel": format!("{id}:done"),
            }],
        });
        if let Some(ca) = ca {
            definition["ca"] = (*ca).into();
        }
        setup.connection(&definition)?;
    }
    let labels: Vec<String> = cases.iter().map(|(id, ..)| format!("{id}:done")).collect();
    setup.lines("internal_headers = \"trust\"", &[event("thing", 0, &json!({"requested-acks": labels}))])?;
    let ended = setup.run()?;
    ended.expect_code(1)?;
    for (id, ..) in &cases {
        let line = format!("{id} → must-stay-empty: 1 selected, 0 published, 1 failed (connection)");
        assert!(ended.stderr.contains(&line), "no line `{line}` in\n{}", ended.stderr);
    }
    let statuses: Vec<(String, u64)> = setup
        .acknowledgements()?
        .iter()
        .map(|line| {
            let label = line["topic"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default();
            (label.to_owned(), line["status"].as_u64().unwrap_or_default())
        })
        .collect();
    for label in &labels {
        assert!(statuses.contains(&(label.clone(), 400)), "{label} in {statuses:?}");
    }
    assert_eq!(broker.count("must-stay-empty")?, 0);
    Ok(())
}
