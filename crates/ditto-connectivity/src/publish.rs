//! The leaf of the deliver stack: records into librdkafka's queue.

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use ditto_connection::{Connection, UriScheme};
use ditto_kafka::{
    Bounds, ClientError, ClusterSettings, ProducerPool, ProducerSettings, PublishError, Publisher, Record,
    Sasl, SaslMechanism, Scope, Security, Tls, Token,
};
use ditto_outbound::{
    Completing, Completion, DeliverError, DeliverErrorKind, Delivered, Destined, Enqueued, Refusal,
};
use tower::Service;
use tracing::warn;

/// Publishes the records of one connection through a pooled producer.
#[derive(Debug)]
pub struct KafkaLeaf {
    pool: ProducerPool,
    settings: ProducerSettings,
    publisher: Publisher,
    /// Reused for each batch.
    completed: Vec<ditto_kafka::Completion>,
}

/// Room that is asked for before a record's size is known, in bytes. A larger record takes the rest when it comes.
const ROOM: usize = 16 << 10;

/// What one connection may have in flight. Below the span of a feed's partition, which would pause otherwise.
const IN_FLIGHT: Bounds = Bounds { records: 5_000, bytes: 16 << 20 };

impl KafkaLeaf {
    /// A leaf with its own bounds on the pool's producer for these settings.
    ///
    /// # Errors
    /// The producer cannot be made.
    pub fn new(pool: &ProducerPool, settings: ProducerSettings) -> Result<Self, ClientError> {
        let publisher = pool.publisher(&settings, IN_FLIGHT)?;
        Ok(Self { pool: pool.clone(), settings, publisher, completed: Vec::new() })
    }

    /// A producer that failed for good is replaced once its last report has come.
    fn replace_condemned(&mut self) {
        if self.publisher.is_condemned() && self.publisher.in_flight() == 0 {
            match self.pool.publisher(&self.settings, IN_FLIGHT) {
                Ok(publisher) => self.publisher = publisher,
                Err(error) => warn!(%error, "producer not replaced"),
            }
        }
    }
}

impl Service<Destined> for KafkaLeaf {
    type Response = Enqueued;
    type Error = DeliverError;
    type Future = Ready<Result<Enqueued, DeliverError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DeliverError>> {
        self.replace_condemned();
        self.publisher.poll_ready(cx, ROOM).map(Ok)
    }

    fn call(&mut self, record: Destined) -> Self::Future {
        let destination = &record.destination;
        let enqueued = self.publisher.enqueue(
            Record {
                topic: destination.topic.as_str(),
                partition: destination.partition,
                key: destination.key.as_deref(),
                payload: Some(&record.payload),
                headers: record.headers.iter().map(|(name, value)| (name.as_str(), &**value)),
            },
            Token(record.token.into()),
        );
        ready(match enqueued {
            Ok(()) => Ok(Enqueued::Queued(record.into_written())),
            Err(error) => Err(deliver_error(&error)),
        })
    }
}

impl Completing for KafkaLeaf {
    fn poll_completions(&mut self, cx: &mut Context<'_>, completions: &mut Vec<Completion>) -> Poll<()> {
        let polled = self.publisher.poll_completions(cx, &mut self.completed);
        completions.extend(self.completed.drain(..).map(|completion| Completion {
            // It was made of one of 32 bits.
            token: u32::try_from(completion.token.0).unwrap_or(u32::MAX),
            result: match completion.result {
                Ok(delivered) => Ok(Delivered {
                    partition: delivered.partition,
                    offset: delivered.offset,
                    timestamp_ms: delivered.timestamp_ms,
                }),
                Err(error) => Err(deliver_error(&error)),
            },
        }));
        polled.map(|_| ())
    }
}

fn deliver_error(error: &PublishError) -> DeliverError {
    let refusal = Refusal { retriable: error.is_retriable() };
    let kind = match error.scope() {
        Scope::Record => DeliverErrorKind::Record(refusal),
        Scope::Target => DeliverErrorKind::Target(refusal),
        Scope::Connection => DeliverErrorKind::Connection(refusal),
        Scope::Producer => DeliverErrorKind::Producer(refusal),
    };
    DeliverError::new(kind, error.to_string())
}

/// The cluster of a connection (connection-model.md §3).
pub(crate) fn cluster_of(connection: &Connection) -> ClusterSettings {
    let uri = connection.uri();
    let tls = (uri.scheme == UriScheme::Ssl)
        .then(|| Tls { ca_pem: connection.ca().map(str::to_owned), client_certificate: None });
    let sasl = uri.credentials.as_ref().map(|credentials| Sasl {
        mechanism: match connection.sasl_mechanism() {
            ditto_connection::SaslMechanism::Plain => SaslMechanism::Plain,
            ditto_connection::SaslMechanism::ScramSha256 => SaslMechanism::ScramSha256,
            ditto_connection::SaslMechanism::ScramSha512 => SaslMechanism::ScramSha512,
        },
        username: credentials.username.clone(),
        password: credentials.password.clone(),
    });
    ClusterSettings {
        bootstrap_servers: connection.bootstrap_servers().to_vec(),
        security: Security { tls, sasl },
    }
}
