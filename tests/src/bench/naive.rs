//! For orientation: a loop that parses, rewrites and produces. It knows one kind of message and one reader, routes
//! nothing, counts nothing and settles nothing.

use std::borrow::Cow;
use std::time::Duration;

use anyhow::Context;
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{feed, raw};
use crate::broker::Broker;

#[derive(Deserialize)]
struct Envelope<'m> {
    #[serde(borrow)]
    topic: Cow<'m, str>,
    #[serde(borrow)]
    headers: Headers<'m>,
    #[serde(borrow)]
    path: Cow<'m, str>,
    #[serde(borrow)]
    value: &'m RawValue,
    revision: u64,
    #[serde(borrow)]
    timestamp: Cow<'m, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Headers<'m> {
    #[serde(borrow)]
    correlation_id: Cow<'m, str>,
    #[serde(borrow)]
    ditto_originator: Cow<'m, str>,
    #[serde(borrow)]
    ditto_read_subjects: Vec<Cow<'m, str>>,
    #[serde(borrow)]
    content_type: Cow<'m, str>,
}

pub(super) fn run(broker: &Broker, from: &str, to: &str, records: usize) -> anyhow::Result<()> {
    let producer: BaseProducer = feed::producer(broker).create()?;
    let (mut key, mut payload) = (String::new(), String::new());
    raw::each(broker, "bench-naive", from, records, |message, moved| {
        use std::fmt::Write;
        let envelope: Envelope<'_> = serde_json::from_slice(message.payload().unwrap_or_default())?;
        let headers = &envelope.headers;
        if !headers.ditto_read_subjects.iter().any(|subject| subject == "acme:monitoring") {
            return Ok(());
        }
        let (namespace, rest) = envelope.topic.split_once('/').context("no namespace")?;
        let (name, _) = rest.split_once('/').context("no name")?;
        key.clear();
        write!(key, "{namespace}:{name}")?;
        payload.clear();
        write!(
            payload,
            r#"{{"topic":"{}","headers":{{"correlation-id":"{}","ditto-originator":"{}","content-type":"{}","requested-acks":[],"response-required":false,"entity-revision":{}}},"path":"{}","value":{},"revision":{},"timestamp":"{}"}}"#,
            envelope.topic,
            headers.correlation_id,
            headers.ditto_originator,
            headers.content_type,
            envelope.revision,
            envelope.path,
            envelope.value.get(),
            envelope.revision,
            envelope.timestamp
        )?;
        let native = OwnedHeaders::new_with_capacity(4)
            .insert(Header { key: "content-type", value: Some("application/vnd.eclipse.ditto+json") })
            .insert(Header { key: "correlation-id", value: Some(&*headers.correlation_id) })
            .insert(Header { key: "source", value: Some("bench") })
            .insert(Header { key: "ditto-connection-id", value: Some("bench") });
        let record = BaseRecord::to(to).key(key.as_bytes()).payload(payload.as_bytes()).headers(native);
        feed::send(&producer, record)?;
        if moved.is_multiple_of(100) {
            producer.poll(Duration::ZERO);
        }
        Ok(())
    })?;
    Ok(producer.flush(Duration::from_secs(60))?)
}
