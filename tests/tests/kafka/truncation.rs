//! Records of a feed that are gone before they were read: never passed over in silence.

use std::time::Duration;

use ditto_tests::broker::Broker;
use ditto_tests::service::{Ended, Setup, definition, event};
use ditto_tests::topics::Written;
use serde_json::{Value, json};

const FEED: &str = "truncated-feed";
const OUTPUT: &str = "truncated-output";

fn setup(broker: &Broker, policy: &str) -> anyhow::Result<Setup> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_service"))?;
    let targets = json!([{
        "address": OUTPUT, "topics": ["_/_/things/twin/events"], "authorizationContext": ["integ:reader"],
    }]);
    setup.connection(&definition("truncated", &broker.listeners.plaintext, &targets))?;
    setup.feed(&format!(
        "kind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"{FEED}\"]\nstart_at = \"earliest\"\n\
         internal_headers = \"trust\"\n{policy}",
        broker.listeners.plaintext
    ))?;
    Ok(setup)
}

fn write(broker: &Broker, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    broker.write(FEED, numbers.map(|n| Written::of(event("thing", n, &json!({})))))
}

/// Runs it until the output holds that many records.
fn run_until(broker: &Broker, setup: &Setup, records: usize) -> anyhow::Result<Ended> {
    let service = setup.start_run()?;
    broker.wait_for(OUTPUT, records)?;
    service.stop()
}

#[test]
fn records_that_are_gone_are_told_and_left_behind_only_on_demand() -> anyhow::Result<()> {
    let broker = Broker::of_this_run()?;
    broker.create_topic(FEED, 1, &[])?;
    broker.create_topic(OUTPUT, 1, &[])?;
    let (failing, going_on) = (setup(&broker, "")?, setup(&broker, "on_truncation = \"earliest\"")?);
    write(&broker, 0..10)?;
    run_until(&broker, &failing, 10)?.expect_code(0)?;

    // As retention does it while the service is away.
    write(&broker, 10..20)?;
    broker.delete_records(FEED, 0, 15)?;
    let service = failing.start_run()?;
    service.wait_for_partitions()?;
    let (_, connection) = service.wait_for_status("failed", Duration::from_secs(60))?;
    let told =
        format!("{FEED}[0] has offsets 15 to 20, and 10 was to be read: 5 offsets were deleted (retention)");
    let reason = connection["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("its lane has failed") && reason.contains(&told), "{reason}");
    let ended = service.stop()?;
    ended.expect_code(0)?;
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    assert_eq!(broker.count(OUTPUT)?, 10);
    let ended = run_until(&broker, &going_on, 15)?;
    ended.expect_code(0)?;
    assert!(ended.stderr.contains(&told), "{}", ended.stderr);

    // Made anew while it runs: offsets begin again.
    let service = going_on.start_run()?;
    write(&broker, 20..21)?;
    broker.wait_for(OUTPUT, 16)?;
    broker.delete_topic(FEED)?;
    broker.create_topic(FEED, 1, &[])?;
    write(&broker, 21..24)?;
    broker.wait_for(OUTPUT, 19)?;
    service.stop()?.expect_code(0)?;

    let values = broker
        .consume(OUTPUT)?
        .iter()
        .map(|record| Ok(serde_json::from_str::<Value>(&record.value_text())?["value"].clone()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    assert_eq!(values, (0..10).chain(15..24).map(Value::from).collect::<Vec<_>>());
    Ok(())
}
