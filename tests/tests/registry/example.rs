//! The example of Ditto's documentation, as users send it.

use std::time::Instant;

use anyhow::{Context, ensure};
use ditto_tests::api::{Api, path};
use ditto_tests::broker::Broker;
use ditto_tests::service::{Setup, event, vectors};
use ditto_tests::topics::Written;
use serde_json::{Value, json};

/// How the example gets there.
#[derive(Debug, Clone, Copy)]
enum Way {
    Piggyback,
    Post,
    Put,
}

#[test]
fn the_example_publishes_what_comes_after_it_is_open() -> anyhow::Result<()> {
    const FEED: &str = "registry-example";
    let broker = Broker::of_this_run()?;
    broker.create_topic(FEED, 2, &[])?;
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    setup.managed(&broker, FEED, "", "")?;
    let service = setup.start_run()?;
    let api = Api::of(&service)?;
    for (n, way) in [Way::Piggyback, Way::Post, Way::Put].into_iter().enumerate() {
        let topic = format!("registry-example-{way:?}");
        broker.create_topic(&topic, 1, &[])?;
        let (fed, published) = (broker.follow(FEED)?, broker.follow(&topic)?);
        let id = sent(&api, way, &adapted(&broker, &format!("{topic}/key"))?)?;
        // A new one is answered before it has connected; who opens it again waits for that.
        let start = Instant::now();
        let opened = api.command(&id, "openConnection")?;
        ensure!(opened.status == 200, "{way:?}: {} {}", opened.status, opened.text());
        let (opening, start) = (start.elapsed(), Instant::now());
        let event = event("thing", n, &json!({"ditto-read-subjects": ["ditto:outbound-auth-subject"]}));
        let record = std::thread::scope(|scope| {
            // It goes out before whoever writes it is told so.
            let written = scope.spawn(|| broker.write(FEED, [Written::of(event)]));
            fed.next()?;
            let in_feed = start.elapsed();
            let record = published.next()?;
            println!(
                "{way:?}: open after {opening:?}; after the answer the signal is read from the feed at {in_feed:?}, the \
                 record from the topic at {:?}",
                start.elapsed()
            );
            written.join().unwrap().map(|()| record)
        })?;
        let value: Value = serde_json::from_str(&record.value_text())?;
        ensure!((record.key_text().as_str(), &value["value"]) == ("key", &json!(n)), "{record:?}");
        let status = api.ask("GET", &path(&id, "/status"), None)?.json();
        ensure!(status["liveStatus"] == "open" && status["recoveryStatus"] == "succeeded", "{status}");
        let read = api.ask("GET", &path(&id, ""), None)?.text();
        ensure!(read.contains(&format!("tcp://{}:*****@", broker.username)), "{read}");
        ensure!(!read.contains(&broker.password), "{read}");
        ensure!(api.ask("DELETE", &path(&id, ""), None)?.status == 204, "{way:?}");
        ensure!(broker.count(&topic)? == 1, "{way:?}");
    }
    let log = service.log()?;
    ensure!(!log.contains(&broker.password), "the password is in the log:\n{log}");
    service.stop()?.expect_code(0)
}

/// The command of the example, for this broker and this address.
fn adapted(broker: &Broker, address: &str) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(vectors("seed-example.json"))?;
    let mut example: Value = serde_json::from_str(&text)?;
    let connection = &mut example["piggybackCommand"]["connection"];
    let server = &broker.listeners.sasl_plaintext;
    connection["uri"] = format!("tcp://{}:{}@{server}", broker.username, broker.password).into();
    connection["specificConfig"]["bootstrapServers"] = format!("{server},").into();
    connection["targets"][0]["address"] = address.into();
    Ok(example)
}

/// Sends it; the id of the connection.
fn sent(api: &Api, way: Way, example: &Value) -> anyhow::Result<String> {
    let mut connection = example["piggybackCommand"]["connection"].clone();
    let id = connection["id"].as_str().context("no id")?.to_owned();
    let created = match way {
        Way::Piggyback => {
            let answer = api.ask("POST", "/devops/piggyback/connectivity?timeout=10s", Some(example))?;
            let json = answer.json();
            ensure!(answer.status == 200 && json["status"] == 201, "{} {json}", answer.status);
            ensure!(json["type"] == "connectivity.responses:createConnection", "{json}");
            json["connection"].clone()
        }
        Way::Post => {
            connection.as_object_mut().context("no object")?.remove("id");
            let answer = api.ask("POST", "/api/2/connections", Some(&connection))?;
            ensure!(answer.status == 201, "{} {}", answer.status, answer.text());
            answer.json()
        }
        Way::Put => {
            let answer = api.ask("PUT", &path(&id, ""), Some(&connection))?;
            ensure!(answer.status == 201, "{} {}", answer.status, answer.text());
            answer.json()
        }
    };
    let created = created["id"].as_str().context("no id")?.to_owned();
    ensure!((created == id) != matches!(way, Way::Post), "{created}");
    Ok(created)
}
