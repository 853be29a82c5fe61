//! http.ndjson and piggyback.ndjson: sequences of requests to the service's own program, with a real broker.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::super::differences::{Differences, many};
use super::super::exchange;
use crate::broker::Broker;
use crate::http::{self, Answer};
use crate::secrets;
use crate::service::{Service, Setup};
use crate::topics::Written;

/// What the service is called.
const INSTANCE: &str = "conformance-instance";
/// How the rows write the addresses of brokers.
const PLAIN: &str = "127.0.0.1:29092";
const SASL: &str = "127.0.0.1:29093";
/// Topics that rows name; the reference's broker makes them when they are written to.
const TOPICS: [&str; 8] =
    ["conformance-feed", "hx.in", "hx.in1", "hx.in2", "hx.out", "hx.out1", "pg.in", "pg.out"];

/// The answers to the steps of a row of http, in the words of the rows.
pub(super) fn run_http(row: &Value) -> Value {
    run("http", row)
}

/// The same of a row of piggyback.
pub(super) fn run_piggyback(row: &Value) -> Value {
    run("piggyback", row)
}

fn run(file: &str, row: &Value) -> Value {
    let steps = row["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let answers = expectations(file, row).and_then(|expected| Run::start()?.steps(steps, &expected));
    match answers {
        Ok(answers) => json!({ "steps": answers }),
        Err(why) => json!({ "not run": format!("{why:#}") }),
    }
}

/// What each step is asked for again for as long as a pause before it lasts: what counts in the end.
fn expectations(file: &str, row: &Value) -> Result<Vec<Value>> {
    let theirs: Vec<Value> =
        row["steps"].as_array().into_iter().flatten().map(|step| step["expect"].clone()).collect();
    let mut whole = row.clone();
    whole["expect"] = json!({ "steps": theirs });
    let ours = Differences::of_project()?.expectation(file, &whole);
    Ok(ours.and_then(|ours| ours["steps"].as_array().cloned()).unwrap_or(theirs))
}

/// Of the user `devops`.
fn password() -> String {
    secrets::secret("conformance")
}

/// A fresh service.
struct Run {
    broker: &'static Broker,
    service: Service,
    _setup: Setup,
    address: String,
    saved: BTreeMap<String, String>,
}

/// What all rows need once.
struct Ground {
    broker: Broker,
    hash: String,
}

fn ground() -> Result<&'static Ground> {
    static GROUND: OnceLock<Result<Ground, String>> = OnceLock::new();
    let prepare = || -> Result<Ground> {
        let broker = Broker::of_this_run()?;
        for topic in TOPICS {
            if broker.count(topic).is_err() {
                broker.create_topic(topic, 1, &[])?;
            }
        }
        let setup = Setup::new(&program()?)?;
        setup.write("password", format!("{}\n", password()))?;
        let hash = setup.execute_on("password", &["hash-password"])?.stdout.trim().to_owned();
        Ok(Ground { broker, hash })
    };
    let prepared = GROUND.get_or_init(|| prepare().map_err(|error| format!("{error:#}")));
    prepared.as_ref().map_err(|why| anyhow::anyhow!("{why}"))
}

/// The service's program: it is built beside that of the runner.
fn program() -> Result<String> {
    let this = std::env::current_exe()?;
    let found =
        this.ancestors().skip(1).take(2).map(|folder| folder.join("service")).find(|file| file.is_file());
    Ok(found.context("the program `service` is not built")?.display().to_string())
}

impl Run {
    fn start() -> Result<Self> {
        let Ground { broker, hash } = ground()?;
        let setup = Setup::new(&program()?)?;
        setup.write(
            "config.toml",
            format!(
                "[store]\nkind = \"embedded\"\npath = \"connections.db\"\nkey = \"{}\"\n[feed]\nkind = \"kafka\"\nbootstrap_servers = \"{}\"\n\
                 topics = [\"conformance-feed\"]\n[http]\nbind = \"127.0.0.1:0\"\ncors = true\n\
                 instance = \"{INSTANCE}\"\ndevops_password_hash = '{hash}'\n",
                secrets::store_key(),
                broker.listeners.plaintext
            ),
        )?;
        let service = setup.start_run()?;
        let address = service.api_address()?;
        Ok(Self { broker, service, _setup: setup, address, saved: BTreeMap::new() })
    }

    fn steps(&mut self, steps: &[Value], expected: &[Value]) -> Result<Vec<Value>> {
        let mut answers = Vec::new();
        let mut rest = Instant::now();
        for (step, expected) in steps.iter().zip(expected) {
            if let Some(seconds) = step["wait_s"].as_f64() {
                rest = Instant::now() + Duration::from_secs_f64(seconds);
                answers.push(Value::Null);
            } else if let Some(text) = step["precondition"].as_str() {
                self.prepare(text)?;
                answers.push(Value::Null);
            } else if let Some(records) = step.get("kafka_produce") {
                self.produce(records)?;
                answers.push(Value::Null);
            } else {
                answers.push(self.request(step, expected, rest)?);
            }
        }
        self.service.expect_running()?;
        Ok(answers.into_iter().map(|answer| self.in_their_words(&answer)).collect())
    }

    fn prepare(&self, text: &str) -> Result<()> {
        let count: usize =
            text.split(' ').next().unwrap_or_default().parse().context("an unknown precondition")?;
        for n in 0..count {
            let path = format!("/api/2/connections/many-{n}");
            let step = json!({ "method": "PUT", "path": path, "body": many() });
            let answer = self.ask(&step)?;
            anyhow::ensure!(answer.status == 201, "connection {n} not made: {}", answer.text());
        }
        Ok(())
    }

    fn produce(&self, wanted: &Value) -> Result<()> {
        let topic = wanted["topic"].as_str().context("no topic")?;
        let records = wanted["records"].as_array().into_iter().flatten().map(|record| Written {
            key: record["key"].as_str().map(|key| key.as_bytes().to_vec()),
            headers: record["headers"]
                .as_str()
                .and_then(|text| text.split_once(':'))
                .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
                .into_iter()
                .collect(),
            value: record["value"].as_str().map(|value| value.as_bytes().to_vec()),
        });
        self.broker.write(topic, records)
    }

    /// A question is asked again as long as the answer is another one, until a pause before it is over. What changes
    /// something is asked once, after the pause.
    fn request(&mut self, step: &Value, expected: &Value, rest: Instant) -> Result<Value> {
        let is_question = is_question(step);
        if !is_question {
            thread::sleep(rest.saturating_duration_since(Instant::now()));
        }
        loop {
            let answer = self.ask(step)?;
            for (name, pointer) in step["save"].as_object().into_iter().flatten() {
                let value = pointer.as_str().and_then(|pointer| answer.json().pointer(pointer).cloned());
                let value = value.as_ref().and_then(Value::as_str).context("nothing to save")?;
                self.saved.insert(name.clone(), value.to_owned());
            }
            let answer = of_answer(&answer);
            let said = json!({ "steps": [self.in_their_words(&answer)] });
            let is_answered = exchange::findings(&json!({ "steps": [expected] }), &said).is_empty();
            if !is_question || is_answered || Instant::now() >= rest {
                return Ok(answer);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn ask(&self, step: &Value) -> Result<Answer> {
        let method = step["method"].as_str().context("no method")?;
        let path = self.in_our_words(step["path"].as_str().context("no path")?);
        let path =
            path.replace("/piggyback/connectivity/127.0.0.1", &format!("/piggyback/connectivity/{INSTANCE}"));
        let body = match (step.get("body"), step["raw_body"].as_str()) {
            (_, Some(raw)) => Some(raw.to_owned()),
            (Some(body), None) => Some(body.to_string()),
            (None, None) => None,
        };
        let body = body.map(|body| self.in_our_words(&body));
        let mut headers: Vec<(String, String)> = Vec::new();
        let given = step["headers"].as_object();
        for (name, value) in given.into_iter().flatten() {
            headers.extend(value.as_str().map(|value| (name.clone(), value.to_owned())));
        }
        let is_given =
            |name: &str| given.is_some_and(|it| it.keys().any(|known| known.eq_ignore_ascii_case(name)));
        if body.is_some() && !is_given("content-type") {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        let login = match step["auth"].as_str() {
            None => Some(http::basic("devops", &password())),
            Some("wrong-password") => Some(http::basic("devops", &secrets::secret("wrong"))),
            Some("wrong-user") => Some(http::basic("somebody", &password())),
            Some("bearer") => Some("Bearer abc.def.ghi".to_owned()),
            Some(_) => None,
        };
        headers.extend(login.map(|login| ("authorization".to_owned(), login)));
        http::request(&self.address, method, &path, &headers, body.as_ref().map(String::as_bytes))
    }

    fn in_our_words(&self, text: &str) -> String {
        let mut text = text
            .replace(PLAIN, &self.broker.listeners.plaintext)
            .replace(SASL, &self.broker.listeners.sasl_plaintext);
        for (name, value) in &self.saved {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        text
    }

    fn in_their_words(&self, answer: &Value) -> Value {
        let mut text = answer.to_string();
        for (name, value) in &self.saved {
            text = text.replace(value, &format!("${{{name}}}"));
        }
        let text = text
            .replace(&format!("http://{}", self.address), "${base}")
            .replace(&self.broker.listeners.plaintext, PLAIN)
            .replace(&self.broker.listeners.sasl_plaintext, SASL)
            .replace(INSTANCE, "<instance>");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// Whether a step only asks how something is.
fn is_question(step: &Value) -> bool {
    let command = step["body"]["piggybackCommand"]["type"].as_str().unwrap_or_default();
    step["method"] == "GET" || command.starts_with("connectivity.commands:retrieve")
}

fn of_answer(answer: &Answer) -> Value {
    let headers: serde_json::Map<String, Value> =
        answer.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let content_type = answer.header("content-type");
    let body = if content_type == Some("application/json") { answer.json() } else { answer.text().into() };
    let body = if answer.body.is_empty() { Value::Null } else { body };
    json!({ "status": answer.status, "content_type": content_type, "headers": headers, "body": body })
}
