//! The management API of a service that runs, and what an attacker does.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, ensure};
use ditto_tests::api::{Api, password};
use ditto_tests::broker::Broker;
use ditto_tests::http::{self, Answer};
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

/// Each change is in the audit log, and no secret anywhere.
#[test]
fn a_change_is_audited_and_shows_no_secret() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let (_setup, service, api) = start(&broker, "management-audit", "")?;
    let address = api.address();
    let secret_uri = format!("tcp://user:secret-of-a-team@{}", broker.listeners.plaintext);
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
    ensure!(
        !read.text().contains("secret-of-a-team") && read.text().contains("user:*****@"),
        "{}",
        read.text()
    );
    ensure!(api.ask("PUT", &path, Some(&read.json()))?.status == 204);
    let signal = serde_json::from_str(&event("thing", 2, &json!({})))?;
    let explained = api.ask("POST", &format!("{path}/explain"), Some(&signal))?;
    let targets = explained.json()["targets"].as_array().map(Vec::len);
    ensure!(explained.status == 200 && targets == Some(1), "{}", explained.text());
    ensure!(api.ask("DELETE", &path, None)?.status == 204);
    ensure!(api.ask("GET", &path, None)?.status == 404);
    let log = service.log()?;
    ensure!(
        !log.contains("secret-of-a-team") && !log.contains(&password()),
        "a secret is in the log:\n{log}"
    );
    let audited = |action: &str| {
        log.lines().any(|line| line.contains("audit") && line.contains(action) && line.contains(&id))
    };
    for action in ["createConnection", "modifyConnection", "deleteConnection"] {
        ensure!(audited(action), "{action} is not audited:\n{log}");
    }
    service.stop()?.expect_code(0)
}

/// Memory stays bounded, and whoever is let in is answered.
#[test]
fn whoever_is_not_let_in_keeps_nobody_out() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    let (_setup, service, api) = start(&broker, "management-hostile", "max_connections = 64")?;
    let address = api.address();
    let is_served = || Ok::<_, anyhow::Error>(api.ask("GET", "/api/2/connections", None)?.status == 200);
    ensure!(is_served()?);
    let before = service.memory()?;
    let mut idle = Vec::new();
    for n in 0..3_000 {
        let mut stream = TcpStream::connect(address)?;
        if n % 2 == 0 {
            let _begun = stream.write_all(b"GET /health HTTP/1.1\r\nx-slow: ");
        }
        idle.push(stream);
        ensure!(n % 500 != 0 || is_served()?, "not served beside {n} idle connections");
    }
    ensure!(is_served()?);
    let flood: String = (0..2_000).map(|n| format!("x-{n}: {}\r\n", "y".repeat(1_000))).collect();
    for _ in 0..20 {
        let answer =
            http::send(address, format!("GET /health HTTP/1.1\r\nhost: x\r\n{flood}\r\n").as_bytes());
        ensure!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 431));
    }
    for login in [String::new(), format!("authorization: {}\r\n", http::basic("devops", &password()))] {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(
            format!(
                "POST /api/2/connections HTTP/1.1\r\nhost: x\r\n{login}content-length: 104857600\r\n\r\n"
            )
            .as_bytes(),
        )?;
        let chunk = vec![b'x'; 1 << 16];
        while stream.write_all(&chunk).is_ok() {}
        let mut answer = Vec::new();
        let _end = stream.read_to_end(&mut answer);
        let status = Answer::read(&answer).map(|answer| answer.status).unwrap_or_default();
        ensure!([0, 401, 413].contains(&status), "{status}");
    }
    let deep = "[".repeat(1_000_000);
    let login = [("authorization".to_owned(), http::basic("devops", &password()))];
    for path in ["/api/2/connections", "/devops/piggyback/connectivity"] {
        let answer = http::request(address, "POST", path, &login, Some(deep.as_bytes()))?;
        ensure!(answer.status == 400 && answer.json()["error"] == "json.invalid", "{}", answer.text());
    }
    let mut codes = Vec::new();
    for n in 0..30 {
        let guess = [("authorization".to_owned(), http::basic("devops", &format!("guess-{n}")))];
        codes.push(http::request(address, "GET", "/api/2/connections", &guess, None)?.status);
    }
    ensure!(codes.starts_with(&[401; 10]) && codes.ends_with(&[429; 10]), "{codes:?}");
    ensure!(is_served()?, "who was let in before is not any more");
    let grown = service.memory()?.saturating_sub(before);
    ensure!(grown < 64 << 20, "it has taken {grown} bytes");
    drop(idle);
    service.expect_running()?;
    service.stop()?.expect_code(0)
}
