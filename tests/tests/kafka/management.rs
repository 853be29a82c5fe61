//! The management API of a service that runs: who has changed what.

use anyhow::{Context, ensure};
use ditto_tests::api::Api;
use ditto_tests::broker::Broker;
use ditto_tests::secrets::secret;
use ditto_tests::service::{Service, Setup, event};
use serde_json::json;

/// A service with an embedded store, and its API.
pub(super) fn start(broker: &Broker, feed: &str, more: &str) -> anyhow::Result<(Setup, Service, Api)> {
    broker.create_topic(feed, 1, &[])?;
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    setup.managed(broker, feed, "start_at = \"earliest\"", more)?;
    let service = setup.start_run()?;
    let api = Api::of(&service)?;
    Ok((setup, service, api))
}

/// Each change is in the audit log. The test kit looks for the secret everywhere.
#[test]
fn a_change_is_audited_and_shows_no_secret() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let (_setup, service, api) = start(&broker, "management-audit", "")?;
    let address = api.address();
    let secret_uri = format!("tcp://user:{}@{}", secret("of-a-team"), broker.listeners.plaintext);
    let definition = json!({
        "connectionType": "kafka", "connectionStatus": "closed", "uri": secret_uri,
        "specificConfig": { "bootstrapServers": broker.listeners.plaintext, "saslMechanism": "plain" },
        "targets": [{ "address": "management-audit-out", "topics": ["_/_/things/twin/events"],
            "authorizationContext": ["integ:reader"] }],
    });
    let created = api.ask("POST", "/api/2/connections", Some(&definition))?;
    ensure!(created.status == 201, "{}", created.text());
    let id = created.json()["id"].as_str().context("no id")?.to_owned();
    let path = format!("/api/2/connections/{id}");
    ensure!(created.header("location") == Some(&format!("http://{address}{path}")), "{created:?}");
    // What was read can be put back, with its secrets masked.
    let read = api.ask("GET", &path, None)?;
    ensure!(read.text().contains("user:*****@"), "{}", read.text());
    ensure!(api.ask("PUT", &path, Some(&read.json()))?.status == 204);
    let signal = serde_json::from_str(&event("thing", 2, &json!({})))?;
    let explained = api.ask("POST", &format!("{path}/explain"), Some(&signal))?;
    let targets = explained.json()["targets"].as_array().map(Vec::len);
    ensure!(explained.status == 200 && targets == Some(1), "{}", explained.text());
    ensure!(api.ask("DELETE", &path, None)?.status == 204);
    ensure!(api.ask("GET", &path, None)?.status == 404);
    let log = service.log()?;
    let audited = |action: &str| {
        log.lines().any(|line| line.contains("audit") && line.contains(action) && line.contains(&id))
    };
    for action in ["createConnection", "modifyConnection", "deleteConnection"] {
        ensure!(audited(action), "{action} is not audited:\n{log}");
    }
    service.stop()?.expect_code(0)
}
