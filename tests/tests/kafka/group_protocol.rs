//! `group_protocol = "consumer"` (KIP-848): on Kafka 4 the brokers share partitions out, on Kafka 3 nothing answers. To see the
//! former: `KAFKA_VERSION=4.1.1 cargo xtask test -p ditto-tests --test kafka group_protocol`.

use std::time::{Duration, Instant};

use anyhow::ensure;
use ditto_tests::broker::Broker;
use ditto_tests::service::{Setup, definition, event};
use ditto_tests::topics::Written;
use serde_json::{Value, json};

const FEED: &str = "protocol-feed";
const OUTPUT: &str = "protocol-output";
const GROUP: &str = "protocol.shared-out";

fn setup(broker: &Broker, instance: &str) -> anyhow::Result<Setup> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let targets = json!([{
        "address": OUTPUT, "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"],
    }]);
    setup.connection(&definition("shared-out", &broker.listeners.plaintext, &targets))?;
    setup.feed(&format!(
        "kind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"{FEED}\"]\nstart_at = \"earliest\"\n\
         group_id = \"protocol\"\ninternal_headers = \"trust\"\ngroup_protocol = \"consumer\"\n\
         instance_id = \"{instance}\"",
        broker.listeners.plaintext
    ))?;
    Ok(setup)
}

fn write(broker: &Broker, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    let record = |n: usize| Written {
        key: Some(format!("key-{n}").into_bytes()),
        ..Written::of(event("thing", n, &json!({})))
    };
    broker.write(FEED, numbers.map(record))
}

#[test]
fn the_brokers_share_partitions_out_or_their_silence_is_told() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    broker.create_topic(FEED, 4, &[])?;
    broker.create_topic(OUTPUT, 1, &[])?;
    // librdkafka needs version 1 of the heartbeat; Kafka 3.9 has version 0, as a preview that is off.
    if broker.kafka.starts_with("3.") { told(&broker) } else { shared_out(&broker) }
}

fn told(broker: &Broker) -> anyhow::Result<()> {
    let setup = setup(broker, "a")?;
    let service = setup.start_run()?;
    let start = Instant::now();
    while !service.log()?.contains("this group protocol needs brokers of Kafka 4.0 or newer") {
        ensure!(start.elapsed() < Duration::from_secs(60), "nothing is told:\n{}", service.log()?);
        std::thread::sleep(Duration::from_millis(100));
    }
    service.stop()?.expect_code(0)
}

fn shared_out(broker: &Broker) -> anyhow::Result<()> {
    let (a, b) = (setup(broker, "a")?, setup(broker, "b")?);
    write(broker, 0..40)?;
    let first = a.start_run()?;
    broker.wait_for(OUTPUT, 40)?;
    let second = b.start_run()?;
    second.wait_for_partitions()?;
    write(broker, 40..80)?;
    broker.wait_for(OUTPUT, 80)?;

    // The broker refuses to move the group while somebody is there, though nobody can say who.
    let ended = a.execute(&["lanes", "list", "--config", "config.toml", "--format", "json"])?;
    ended.expect_code(0)?;
    let line: Value = serde_json::from_str(ended.stdout.lines().next().unwrap_or_default())?;
    assert_eq!((&line["group"], &line["members"]), (&json!(GROUP), &Value::Null));
    let ended = a.execute(&["lanes", "seek", "shared-out", "--config", "config.toml", "--to", "earliest"])?;
    ended.expect_code(69)?;
    ensure!(
        ended.stderr.contains("group `protocol.shared-out` has active members; stop them first"),
        "{}",
        ended.stderr
    );

    // Static members: what one leaves behind waits for it, and it takes it up again.
    first.stop()?.expect_code(0)?;
    let first = a.start_run()?;
    first.wait_for_partitions()?;
    write(broker, 80..120)?;
    broker.wait_for(OUTPUT, 120)?;
    first.stop()?.expect_code(0)?;
    second.stop()?.expect_code(0)?;
    assert_eq!(broker.lag(FEED, GROUP)?, 0);

    let consumed = broker.consume(OUTPUT)?;
    let value = |text: String| Ok(serde_json::from_str::<Value>(&text)?["value"].as_u64());
    let mut values =
        consumed.iter().map(|it| value(it.value_text())).collect::<anyhow::Result<Vec<Option<u64>>>>()?;
    values.sort_unstable();
    assert_eq!(
        values,
        (0..120).map(Some).collect::<Vec<_>>(),
        "each once: everything was settled when it moved"
    );
    Ok(())
}
