//! headers.ndjson, outbound.ndjson and acks.ndjson: whole connections, from signals to records and acknowledgements
//! (schema.md §2 and §3).

mod compared;

use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ditto_connection::{Check, Connection, Draft, Finding, Severity, ValidationReport};
use ditto_connectivity::{read_definition, run_options};
use ditto_outbound::{
    AcknowledgementSink, Answer, CompiledConnection, DeliverError, DeliverErrorKind, Delivered, FeedPolicy,
    Intake, InternalHeaders, Lane, NoAcknowledgements, RecordingLeaf, RecordingSink, Refusal, Sent, VecFeed,
};
use ditto_protocol::Acknowledgements;
use futures_util::FutureExt;
use serde_json::{Map, Value, json};

pub(super) use self::compared::settle;
use crate::things::{enrichment, fed, signals};

pub(super) fn run(row: &Value) -> Value {
    let answer = definition(row).map(|connection| publish(&connection, &row["given"]));
    match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => json!({ "no answer": format!("{error:#}") }),
        Err(refusal) => refusal,
    }
}

/// The definition of a row, or how it is refused.
fn definition(row: &Value) -> Result<Connection, Value> {
    let given = &row["given"];
    let read = |definition: &Value| read_definition(Draft::of_file(&definition.to_string()));
    let connection = match read(&given["connection"]) {
        Ok(connection) => connection,
        Err(report) => {
            // What the reference could not read at all, then what its check for Kafka refuses if it ran.
            if let Some(first) = first(&report, |check| check <= Check::Uri) {
                return Err(refused("configError", first));
            }
            let is_checked = given.get("validate").is_some();
            if let Some(first) = first(&report, |check| is_checked && check >= Check::Scheme) {
                return Err(refused("validationError", first));
            }
            read(&checked_late(&given["connection"])).map_err(|report| match first(&report, |_| true) {
                Some(first) => refused("refused", first),
                None => json!({ "no answer": "refused without a finding" }),
            })?
        }
    };
    // Whoever runs connections refuses what is not served.
    if let Some(finding) = connection.not_served().next() {
        return Err(refused("notServed", finding));
    }
    Ok(connection)
}

/// The error that the first of some checks finds.
fn first(report: &ValidationReport, counts: impl Fn(Check) -> bool) -> Option<&Finding> {
    let errors = report.findings().iter().filter(|it| it.severity == Severity::Error && counts(it.check));
    errors.min_by_key(|it| it.check)
}

fn refused(how: &str, finding: &Finding) -> Value {
    json!({ how: { "error": finding.code, "status": finding.status(), "message": finding.reason,
        "description": finding.remedy } })
}

/// The definition with addresses that say the same to each signal, and which only a signal shows to be none: each text
/// beside their placeholders is what stands for a header that no signal has.
fn checked_late(definition: &Value) -> Value {
    let mut definition = definition.clone();
    for target in definition["targets"].as_array_mut().into_iter().flatten() {
        if let Some(address) = target["address"].as_str() {
            target["address"] = late(address).into();
        }
    }
    definition
}

fn late(address: &str) -> String {
    let mut parts = address.split("{{");
    let plain = |text: &str| match text {
        "" => String::new(),
        // No text of a function holds both quotes.
        _ if text.contains('\'') && text.contains('"') => text.to_owned(),
        _ if text.contains('\'') => format!(r#"{{{{ header:no-signal-has-it | fn:default("{text}") }}}}"#),
        _ => format!("{{{{ header:no-signal-has-it | fn:default('{text}') }}}}"),
    };
    let mut late = plain(parts.next().unwrap_or_default());
    for part in parts {
        let (placeholder, text) = part.split_once("}}").unwrap_or((part, ""));
        late.push_str(&format!("{{{{{placeholder}}}}}{}", plain(text)));
    }
    late
}

fn publish(connection: &Connection, given: &Value) -> Result<Value> {
    let compiled = CompiledConnection::compile(connection, &run_options());
    let producer = &given["context"]["producer"];
    let leaf = leaf(producer.clone())?;
    let sink = RecordingSink::default();
    let signals = signals(given);
    let feed = VecFeed::of_records(signals.iter().map(fed));
    let intake =
        Intake::new(FeedPolicy { internal_headers: InternalHeaders::Trust, ..FeedPolicy::default() });
    let acknowledgements: Box<dyn AcknowledgementSink> =
        if signals.iter().any(|signal| signal.get("noAckregator").is_some()) {
            Box::new(NoAcknowledgements)
        } else {
            Box::new(sink.clone())
        };
    let lane = Lane::new(feed, intake, vec![(compiled, leaf.clone())], acknowledgements);
    let lane = lane.with_directory(Box::new(enrichment(given)));
    // The leaf answers at once or never. Whoever waits for an acknowledgement does so by the runtime's clock.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let _entered = runtime.enter();
    let waits =
        given["context"]["enrichment"]["error"] == "timeout" || producer.to_string().contains("\"never\"");
    match lane.run().now_or_never() {
        Some(feed) => {
            anyhow::ensure!(feed.settled.len() == signals.len(), "{} have settled", feed.settled.len())
        }
        None => anyhow::ensure!(waits, "the lane waits for something"),
    }
    Ok(json!({
        "records": leaf.sent().iter().map(record_form).collect::<Result<Vec<_>>>()?,
        "acknowledgements": sink.sent().iter().map(acknowledgements_form).collect::<Result<Vec<_>>>()?,
    }))
}

/// Statuses by Java class: kafka-error-status.json of the specification.
static STATUSES: LazyLock<Result<Value>> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/kafka-error-status.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
});

/// A leaf that answers as the row's producer.
fn leaf(producer: Value) -> Result<RecordingLeaf> {
    let statuses = STATUSES.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let mut call = 0;
    Ok(RecordingLeaf::new(move |record| {
        let by_topic = &producer["byTopic"][record.destination.topic.as_str()];
        let answer = match producer["sequence"].as_array() {
            _ if by_topic.is_object() => by_topic,
            Some(sequence) => sequence.get(call).or(sequence.last()).unwrap_or(&Value::Null),
            None => &producer,
        };
        call += 1;
        if answer["mode"] == "never" {
            return Answer::Silence;
        }
        let Some(class) = answer["exception"].as_str() else {
            let partition = answer["partition"].as_i64().and_then(|it| i32::try_from(it).ok());
            return Answer::Deliver(Delivered {
                partition: record.destination.partition.or(partition).unwrap_or_default(),
                offset: Some(answer["offset"].as_i64().unwrap_or_default()).filter(|offset| *offset >= 0),
                timestamp_ms: answer["timestamp"].as_i64(),
            });
        };
        let name = class.rsplit('.').next().unwrap_or_default();
        let is_retriable = match statuses["byClass"][name].as_i64() {
            Some(status) => status == 500,
            // Of another package than those in the table, and a time-out.
            None => name == "BufferExhaustedException",
        };
        let kind = DeliverErrorKind::Record(Refusal { retriable: is_retriable });
        let error = DeliverError::new(kind, answer["message"].as_str().unwrap_or(name));
        if answer["mode"] == "sync" { Answer::Refuse(error) } else { Answer::Fail(error) }
    }))
}

fn record_form(sent: &Sent) -> Result<Value> {
    let headers: Map<String, Value> =
        sent.headers.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    anyhow::ensure!(headers.len() == sent.headers.len(), "a header occurs twice: {:?}", sent.headers);
    let mut record =
        json!({ "topic": sent.topic, "key": sent.key, "partition": sent.partition, "headers": headers });
    match std::str::from_utf8(&sent.payload) {
        Ok(text) => match compared::json_of(text) {
            Some(json) => record["valueJson"] = json,
            None => record["valueText"] = text.into(),
        },
        Err(_) => record["valueBase64"] = STANDARD.encode(&sent.payload).into(),
    }
    Ok(record)
}

fn acknowledgements_form(acknowledgements: &Acknowledgements) -> Result<Value> {
    let single = acknowledgements.iter().map(|one| {
        let headers: Map<String, Value> =
            one.headers.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
        let entity: Value = one.value.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default();
        Ok(json!({
            "label": one.label, "status": one.status, "weak": one.is_weak, "entity": entity, "headers": headers
        }))
    });
    Ok(json!({"status": acknowledgements.status(), "acks": single.collect::<Result<Vec<_>>>()?}))
}

#[cfg(test)]
mod tests {
    use super::late;

    #[test]
    fn an_address_that_is_checked_late_says_the_same() {
        let said = "{{ header:no-signal-has-it | fn:default('a b') }}";
        assert_eq!(late("a b"), said);
        assert_eq!(late("{{ thing:id }}"), "{{ thing:id }}");
        assert_eq!(late("a b{{thing:name}}a b"), format!("{said}{{{{thing:name}}}}{said}"));
        assert_eq!(late("it's"), r#"{{ header:no-signal-has-it | fn:default("it's") }}"#);
    }
}
