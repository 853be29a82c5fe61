//! Runs schemathesis against the management API of a service of its own, as its description says what may be asked:
//! `cargo xtask schemathesis`. Arguments are passed on.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};
use ditto_tests::broker::Broker;
use ditto_tests::http;
use ditto_tests::secrets::{secret, store_key};
use ditto_tests::service::{Setup, definition};
use serde_json::json;

fn main() -> anyhow::Result<ExitCode> {
    let broker = Broker::of_this_run()?;
    for topic in ["described", "described-out"] {
        broker.create_topic(topic, 1, &[])?;
    }
    let program = std::env::current_exe()?.with_file_name("service");
    let setup = Setup::new(program.to_str().context("no text")?)?;
    setup.write("password", secret("schemathesis"))?;
    let hash = setup.execute_on("password", &["hash-password"])?.stdout;
    let server = &broker.listeners.plaintext;
    setup.write(
        "config.toml",
        format!(
            "[store]\nkind = \"embedded\"\npath = \"connections.db\"\nkey = \"{}\"\n\
             [feed]\nkind = \"kafka\"\nbootstrap_servers = \"{server}\"\ntopics = [\"described\"]\ninternal_headers = \"trust\"\n\
             [http]\nbind = \"127.0.0.1:0\"\ninstance = \"one\"\ndevops_password_hash = '{}'\n",
            store_key(),
            hash.trim()
        ),
    )?;
    let service = setup.start_run()?;
    let address = service.api_address()?;
    let login = [("authorization".to_owned(), http::basic("devops", &secret("schemathesis")))];
    let targets = json!([{
        "address": "described-out", "topics": ["_/_/things/twin/events"], "authorizationContext": ["a:b"],
    }]);
    // What examples and guesses find.
    for id in ["0", "open"] {
        let body = definition(id, server, &targets).to_string();
        let path = format!("/api/2/connections/{id}");
        let answer = http::request(&address, "PUT", &path, &login, Some(body.as_bytes()))?;
        ensure!(answer.status == 201, "{}", answer.text());
    }
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis.toml");
    let status = Command::new("schemathesis")
        .arg("--config-file")
        .arg(config)
        .arg("run")
        .arg(format!("http://{address}/apidoc/openapi.json"))
        .args(["--auth", &format!("devops:{}", secret("schemathesis"))])
        .args(std::env::args_os().skip(1))
        .status()
        .context("cannot run schemathesis; install it: pip install schemathesis")?;
    // It still runs, and has not told a secret.
    service.expect_running()?;
    let ended = service.stop()?;
    ended.expect_code(0)?;
    ensure!(!ended.stderr.contains("panicked"), "something has panicked:\n{}", ended.stderr);
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
