//! `eval address`

use ditto_outbound::SignalValues;
use ditto_placeholder::{KafkaAddress, Resolution, ResolvedAddress};
use serde_json::json;

use super::mistake::Mistake;
use super::output::{Answer, Output, Stop};
use super::shown::{plain, quoted};
use crate::cli::AddressArgs;

pub(super) fn run(args: &AddressArgs, output: &mut Output) -> Result<(), Stop> {
    let text = &args.address;
    let address: KafkaAddress = text.parse().map_err(|error| Mistake::of_address(text, &error))?;
    let outline = address.outline();
    let mut about = Answer::default();
    about.say(&format!("address: {address}"), "address", address.to_string());
    let parts = [
        ("topic", Some(&outline.topic)),
        ("key", outline.key.as_ref()),
        ("partition", outline.partition.as_ref()),
    ];
    for (name, part) in parts.iter().filter_map(|(name, part)| part.map(|part| (name, part))) {
        about.below(&format!("{name}: {part}"));
    }
    // As it is written, apart from where a record goes.
    about.member(
        "outline",
        json!({ "topic": outline.topic, "key": outline.key, "partition": outline.partition }),
    );
    output.try_on(&args.on, &about, |signal| {
        tried(&address, &SignalValues::new(signal, args.connection_id.as_deref()))
    })
}

/// Where the record of a signal goes.
fn tried(address: &KafkaAddress, values: &SignalValues<'_>) -> Answer {
    let mut answer = Answer::default();
    let mut text = String::new();
    match address.template().resolve_into(values, &mut text) {
        Ok(Resolution::Resolved) => {}
        // One deleted as a whole leads nowhere, as one without a value.
        Ok(Resolution::Unresolved | Resolution::Deleted) => {
            let line = "unresolved: a placeholder has no value for this signal, which fails (address-unresolved); add fn:default(…)";
            answer.say(line, "outcome", "unresolved");
            return answer;
        }
        Err(error) => {
            answer.say(&format!("failed: {error} (address-invalid)"), "outcome", "failed");
            answer.member("error", json!({ "code": error.code(), "message": error.to_string() }));
            return answer;
        }
    }
    match ResolvedAddress::parse(&text) {
        Ok(ResolvedAddress { topic, key, partition }) => {
            answer.say("resolved:", "outcome", "resolved");
            answer.below(&format!("topic: {topic}"));
            answer.below(&key.map(|key| format!("key: {}", quoted(key))).unwrap_or_default());
            answer.below(&partition.map(|partition| format!("partition: {partition}")).unwrap_or_default());
            answer.member("resolved", json!({ "topic": topic, "key": key, "partition": partition }));
        }
        Err(error) => {
            let line = format!("failed: {} (address-invalid)", plain(&error.to_string()));
            answer.say(&line, "outcome", "failed");
            answer.below(&error.caret(&text));
            let excerpt = error.caret(&text);
            let said = json!({ "code": error.code(), "message": error.to_string(), "at": error.at(&text), "excerpt": excerpt });
            answer.member("error", said);
        }
    }
    answer
}
