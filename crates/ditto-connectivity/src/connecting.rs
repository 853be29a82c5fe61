//! Whether a cluster answers, found out by asking.

use std::time::{Duration, Instant, SystemTime};

use ditto_connection::Connection;
use ditto_kafka::{
    Bounds, ClientError, ClusterSettings, ConnectionState, Fingerprint, ProducerPool, ProducerSettings,
};
use ditto_outbound::CompiledConnection;
use serde_json::{Value, json};

use crate::error::Failure;
use crate::mappers::run_options;
use crate::publish::cluster_of;
use crate::standing::{Word, of_state};

/// How long the answer may take that tells whether a connection works.
pub(crate) const OPENING: Duration = Duration::from_secs(10);
/// How long one question may wait.
const ANSWER: Duration = Duration::from_millis(2_500);
/// How long it is waited whether what does not work does now.
const AGAIN: Duration = Duration::from_secs(2);
/// How often it is looked at what has come of it.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until the cluster of a client has answered: a question is asked, about `topic` or about all. What has gone wrong for
/// good is told as soon as it is known.
pub(crate) async fn connected(
    pool: &ProducerPool,
    client: &Fingerprint,
    topic: Option<&str>,
    servers: &[String],
    patience: Duration,
) -> Result<(), Failure> {
    let known = pool.client_state(client).map(|client| client.connection).unwrap_or_default();
    // What has failed already is tried again by itself, later each time: whoever asks is not kept waiting for that.
    let patience = if known.last_error().is_some() { patience.min(AGAIN) } else { patience };
    let (asked, deadline) = (SystemTime::now(), Instant::now() + patience);
    // A question takes a thread, and keeps the client, for as long as it may wait.
    let ask = || Box::pin(pool.probe(client, topic, ANSWER));
    let mut question = ask();
    loop {
        let is_answered = tokio::time::timeout(LOOK, &mut question).await.is_ok();
        let state = pool.client_state(client).map(|client| client.connection).unwrap_or_default();
        if state.last_success().is_some_and(|at| at >= asked) {
            return Ok(());
        }
        if has_failed(&state, asked) || Instant::now() >= deadline {
            return Err(failure(&state, servers, patience));
        }
        if is_answered {
            tokio::time::sleep(LOOK).await;
            question = ask();
        }
    }
}

/// Whether it is of no use to wait: a broker that is down says nothing about the others, and a refusal does.
fn has_failed(state: &ConnectionState, asked: SystemTime) -> bool {
    let is_final = |error: &&ditto_kafka::ConnectionError| {
        error.at() >= asked && (error.is_security() || state.all_brokers_down())
    };
    state.last_error().filter(is_final).is_some()
}

fn failure(state: &ConnectionState, servers: &[String], patience: Duration) -> Failure {
    let standing = of_state(state, servers);
    let silence = || {
        let servers = servers.join(", ");
        format!("no answer from any broker within {} s (bootstrap servers: {servers})", patience.as_secs())
    };
    Failure {
        reason: standing.reason.unwrap_or_else(silence),
        is_misconfigured: standing.word == Word::Misconfigured,
    }
}

/// Tries a connection without keeping it: connects, logs in, and looks for the topics that its targets name.
pub(crate) async fn try_out(
    connection: &Connection,
    cluster: Option<ClusterSettings>,
) -> Result<(), Failure> {
    if let Some(failure) = not_served(connection) {
        return Err(failure);
    }
    let compiled = CompiledConnection::compile(connection, &run_options());
    let settings =
        ProducerSettings::new(cluster.unwrap_or_else(|| cluster_of(connection)), "ditto-connectivity-test");
    // Of its own: what is known of a client that works says nothing about one that is new.
    let pool = ProducerPool::new();
    let unusable = |error: ClientError| Failure { reason: error.to_string(), is_misconfigured: true };
    let publisher = pool.publisher(&settings, Bounds::default()).map_err(unusable)?;
    let mut topics: Vec<&str> = compiled.targets().iter().filter_map(|target| target.fixed_topic()).collect();
    topics.sort_unstable();
    topics.dedup();
    let servers = &settings.cluster.bootstrap_servers;
    connected(&pool, &settings.fingerprint(), topics.first().copied(), servers, OPENING).await?;
    let mut reasons = Vec::new();
    for topic in topics {
        if let Err(error) = publisher.partition_count(topic, OPENING).await {
            reasons.push(format!("topic `{topic}`: {error}"));
        }
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Failure { reason: reasons.join("; "), is_misconfigured: true })
}

/// What is said of each source of a connection that is open (docs/adr/0031-sources-are-kept-and-targets-run.md).
pub(crate) const NOT_CONSUMED: &str =
    "not consumed by this version: Ditto's own service must keep consuming it";

/// The addresses that the definition wants to be consumed, each once.
pub(crate) fn not_consumed(connection: &Connection) -> Vec<&str> {
    let sources = connection.sources().iter().filter(|source| source.consumer_count() > 0);
    let mut addresses: Vec<&str> = Vec::new();
    for address in sources.flat_map(|source| source.addresses()) {
        if !addresses.contains(&address.as_str()) {
            addresses.push(address);
        }
    }
    addresses
}

/// What explanations say of them: `[{"address", "consumed", "reason"}]`.
pub(crate) fn sources_json(addresses: &[&str]) -> Value {
    let of_address =
        |address: &&str| json!({ "address": address, "consumed": false, "reason": NOT_CONSUMED });
    addresses.iter().map(of_address).collect()
}

/// What this service does not do yet and the definition asks for (docs/adr/0006-refuse-what-is-not-built.md).
pub(crate) fn not_served(connection: &Connection) -> Option<Failure> {
    let reasons: Vec<_> = connection.not_served().map(ToString::to_string).collect();
    (!reasons.is_empty()).then(|| Failure { reason: reasons.join("; "), is_misconfigured: true })
}
