//! The leaf of the deliver stack: records into librdkafka's queue.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytestring::ByteString;
use ditto_connection::{Connection, UriScheme};
use ditto_kafka::{
    Bounds, ClientError, ClusterSettings, ErrorCode, OwnedRecord, ProducerPool, ProducerSettings,
    PublishError, Publisher, Record, Sasl, SaslMechanism, Scope, Security, Tls, Token,
};
use ditto_outbound::{
    Completing, Completion, DeliverError, DeliverErrorKind, Delivered, Destination, Destined, Enqueued,
    HeaderName, Refusal, Topic, Undelivered,
};
use tokio::time::Sleep;
use tower::Service;
use tracing::{info, warn};

/// Publishes the records of one connection through a pooled producer.
///
/// A producer that has failed for good, or that another of its users has given up, is replaced once every record in
/// flight has come back, and takes none before that: so they can be enqueued again in their order.
#[derive(Debug)]
pub struct KafkaLeaf {
    pool: ProducerPool,
    settings: ProducerSettings,
    publisher: Publisher,
    /// Until another producer may be made.
    pause: Option<Pin<Box<Sleep>>>,
    /// How long the next pause is; zero once a record was delivered.
    next_pause: Duration,
    /// Reused for each batch.
    completed: Vec<ditto_kafka::Completion>,
}

/// Room that is asked for before a record's size is known, in bytes. A larger record takes the rest when it comes.
const ROOM: usize = 16 << 10;

/// Between two producers that fail for good one after the other, from the first pause to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What one connection may have in flight. Below the span of a feed's partition, which would pause otherwise.
const IN_FLIGHT: Bounds = Bounds { records: 5_000, bytes: 16 << 20 };

impl KafkaLeaf {
    /// A leaf with its own bounds on the pool's producer for these settings.
    ///
    /// # Errors
    /// The producer cannot be made.
    pub fn new(pool: &ProducerPool, settings: ProducerSettings) -> Result<Self, ClientError> {
        let publisher = pool.publisher(&settings, IN_FLIGHT)?;
        Ok(Self {
            pool: pool.clone(),
            settings,
            publisher,
            pause: None,
            next_pause: Duration::ZERO,
            completed: Vec::new(),
        })
    }

    /// Ready once there is a producer that is not condemned.
    fn poll_sound(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.publisher.is_condemned() {
            if self.publisher.in_flight() > 0 {
                // The reports wake the lane.
                return Poll::Pending;
            }
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            } else if !self.next_pause.is_zero() {
                self.pause = Some(Box::pin(tokio::time::sleep(self.next_pause)));
                self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            self.next_pause = self.next_pause.max(FIRST_PAUSE);
            match self.pool.publisher(&self.settings, IN_FLIGHT) {
                Ok(publisher) => {
                    info!("kafka producer made anew");
                    self.publisher = publisher;
                }
                Err(error) => warn!(%error, "kafka producer not made anew, will be tried again"),
            }
        }
        Poll::Ready(())
    }
}

/// Whoever lets go of a leaf with records in flight waits for them no longer: then they must not be published later,
/// after what was published since (design.md §3, invariant 5).
impl Drop for KafkaLeaf {
    fn drop(&mut self) {
        if self.publisher.in_flight() > 0 {
            self.publisher.condemn();
        }
    }
}

impl Service<Destined> for KafkaLeaf {
    type Response = Enqueued;
    type Error = DeliverError;
    type Future = Ready<Result<Enqueued, DeliverError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DeliverError>> {
        std::task::ready!(self.poll_sound(cx));
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
            Err(error) => {
                let (error, record) = (deliver_error(&error), Some(Box::new(record)));
                Ok(Enqueued::Refused(Undelivered { error, record }))
            }
        })
    }
}

impl Completing for KafkaLeaf {
    fn poll_completions(&mut self, cx: &mut Context<'_>, completions: &mut Vec<Completion>) -> Poll<()> {
        let polled = self.publisher.poll_completions(cx, &mut self.completed);
        for completion in self.completed.drain(..) {
            // It was made of one of 32 bits.
            let token = u32::try_from(completion.token.0).unwrap_or(u32::MAX);
            let result = match completion.result {
                Ok(delivered) => {
                    self.next_pause = Duration::ZERO;
                    Ok(Delivered {
                        partition: delivered.partition,
                        offset: delivered.offset,
                        timestamp_ms: delivered.timestamp_ms,
                    })
                }
                Err(error) => {
                    if error.scope() == Scope::Producer {
                        // Others of its records would overtake this one.
                        self.publisher.condemn();
                    }
                    let record = completion.record.map(|record| Box::new(destined(token, *record)));
                    Err(Undelivered { error: reported(&error), record })
                }
            };
            completions.push(Completion { token, result });
        }
        polled.map(|_| ())
    }

    fn take_back(&mut self) {
        self.publisher.condemn();
    }

    fn trouble(&self) -> Option<DeliverError> {
        let state = self.publisher.connection_state();
        state.last_error().map(|error| {
            let refusal = Refusal { retriable: !error.is_security() };
            DeliverError::new(DeliverErrorKind::Connection(refusal), error.to_string())
        })
    }
}

/// A record that came back, to be enqueued again as it was.
fn destined(token: u32, record: OwnedRecord) -> Destined {
    let OwnedRecord { topic, partition, key, payload, headers } = record;
    let name = |name: String| HeaderName::Mapped(Arc::from(name));
    Destined {
        token,
        destination: Destination { topic: Topic::Resolved(ByteString::from(topic)), key, partition },
        headers: headers.into_iter().map(|(header, value)| (name(header), value)).collect(),
        payload: payload.unwrap_or_default(),
    }
}

fn deliver_error(error: &PublishError) -> DeliverError {
    DeliverError::new(kind(error.scope(), error.is_retriable()), error.to_string())
}

/// The error of a report. A batch that is too large is refused as a whole, with each record in it.
fn reported(error: &PublishError) -> DeliverError {
    if error.code() == ErrorCode::MESSAGE_TOO_LARGE {
        let refusal = Refusal { retriable: error.is_retriable() };
        return DeliverError::new(DeliverErrorKind::Batch(refusal), error.to_string());
    }
    deliver_error(error)
}

fn kind(scope: Scope, retriable: bool) -> DeliverErrorKind {
    let refusal = Refusal { retriable };
    match scope {
        Scope::Record => DeliverErrorKind::Record(refusal),
        Scope::Target => DeliverErrorKind::Target(refusal),
        Scope::Connection => DeliverErrorKind::Connection(refusal),
        Scope::Producer => DeliverErrorKind::Producer(refusal),
    }
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

#[cfg(test)]
mod tests;
