//! The leaf of the deliver stack: records into librdkafka's queue.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytestring::ByteString;
use ditto_connection::{Connection, UriScheme};
use ditto_kafka::{
    Bounds, ClientCertificate, ClientError, ClusterSettings, Delivery, ErrorCode, OwnedRecord, ProducerPool,
    ProducerSettings, PublishError, Record, Sasl, SaslMechanism, Scope, Security, Tls, Token,
};
use ditto_outbound::{
    Completing, Completion, DeliverError, DeliverErrorKind, Delivered, Destination, Destined, Enqueued,
    HeaderName, Refusal, Topic, Undelivered,
};
use tower::Service;

use crate::config::ProducerConfig;
use crate::outlet::Outlet;

/// Publishes the records of one connection through a pooled producer, and those that must be alone in their batch through
/// another one. Each is replaced when it has failed for good.
#[derive(Debug)]
pub struct KafkaLeaf {
    pool: ProducerPool,
    outlet: Outlet,
    /// Made when a batch is too large for the first time.
    alone: Option<Outlet>,
    settings: ProducerSettings,
    /// Why the last producer failed, as long as no record was delivered since.
    failure: Option<DeliverError>,
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
        Ok(Self {
            pool: pool.clone(),
            outlet: Outlet::new(pool, settings.clone(), IN_FLIGHT)?,
            alone: None,
            settings,
            failure: None,
            completed: Vec::new(),
        })
    }

    /// The outlet for records that share no batch.
    fn alone(&mut self) -> Result<&mut Outlet, ClientError> {
        if let Some(alone) = self.alone.take() {
            return Ok(self.alone.insert(alone));
        }
        let settings = self.settings.clone().with_batch_records(1);
        let outlet = Outlet::new(&self.pool, settings, IN_FLIGHT)?;
        Ok(self.alone.insert(outlet))
    }

    fn complete(&mut self, completion: ditto_kafka::Completion, was_alone: bool) -> Completion {
        // It was made of one of 32 bits.
        let token = u32::try_from(completion.token.0).unwrap_or(u32::MAX);
        let outlet = if was_alone { self.alone.as_mut() } else { Some(&mut self.outlet) };
        let result = match completion.result {
            Ok(delivered) => {
                outlet.into_iter().for_each(Outlet::works);
                self.failure = None;
                Ok(Delivered {
                    partition: delivered.partition,
                    offset: delivered.offset,
                    timestamp_ms: delivered.timestamp_ms,
                })
            }
            Err(error) => {
                let told = reported(&error, was_alone);
                if error.scope() == Scope::Producer {
                    // Others of its records would overtake this one.
                    outlet.into_iter().for_each(|outlet| outlet.publisher.condemn());
                    self.failure = Some(told.clone());
                }
                let record = completion.record.map(|record| Box::new(destined(token, *record)));
                Err(Undelivered { error: told, record })
            }
        };
        Completion { token, result }
    }
}

impl Service<Destined> for KafkaLeaf {
    type Response = Enqueued;
    type Error = DeliverError;
    type Future = Ready<Result<Enqueued, DeliverError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DeliverError>> {
        if let Some(alone) = &mut self.alone {
            std::task::ready!(alone.poll_sound(cx));
        }
        std::task::ready!(self.outlet.poll_sound(cx));
        self.outlet.publisher.poll_ready(cx, ROOM).map(Ok)
    }

    fn call(&mut self, record: Destined) -> Self::Future {
        let destination = &record.destination;
        let publisher = if record.is_alone {
            match self.alone() {
                Ok(outlet) => &mut outlet.publisher,
                Err(error) => {
                    let kind = DeliverErrorKind::Connection(Refusal { retriable: true });
                    let error = DeliverError::new(kind, error.to_string());
                    let record = Some(Box::new(record));
                    return ready(Ok(Enqueued::Refused(Undelivered { error, record })));
                }
            }
        } else {
            &mut self.outlet.publisher
        };
        let enqueued = publisher.enqueue(
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
        let before = completions.len();
        let mut completed = std::mem::take(&mut self.completed);
        if let Some(alone) = &mut self.alone
            && alone.publisher.poll_completions(cx, &mut completed).is_ready()
        {
            completions.extend(completed.drain(..).map(|completion| self.complete(completion, true)));
        }
        if self.outlet.publisher.poll_completions(cx, &mut completed).is_ready() {
            completions.extend(completed.drain(..).map(|completion| self.complete(completion, false)));
        }
        self.completed = completed;
        if completions.len() > before { Poll::Ready(()) } else { Poll::Pending }
    }

    fn take_back(&mut self) {
        self.outlet.take_back();
        self.alone.iter().for_each(Outlet::take_back);
    }

    fn trouble(&self) -> Option<DeliverError> {
        let state = self.outlet.publisher.connection_state();
        let of_connection = state.last_error().map(|error| {
            let refusal = Refusal { retriable: !error.is_security() };
            DeliverError::new(DeliverErrorKind::Connection(refusal), error.to_string())
        });
        self.failure.clone().or(of_connection)
    }
}

/// A record that came back, to be enqueued again as it was.
fn destined(token: u32, record: OwnedRecord) -> Destined {
    let OwnedRecord { topic, partition, key, payload, headers } = record;
    let name = |name: String| HeaderName::Mapped(Arc::from(name));
    Destined {
        token,
        is_alone: false,
        destination: Destination { topic: Topic::Resolved(ByteString::from(topic)), key, partition },
        headers: headers.into_iter().map(|(header, value)| (name(header), value)).collect(),
        payload: payload.unwrap_or_default(),
    }
}

fn deliver_error(error: &PublishError) -> DeliverError {
    DeliverError::new(kind(error.scope(), error.is_retriable()), error.to_string())
}

/// The error of a report. A batch that is too large is refused as a whole, with each record in it.
fn reported(error: &PublishError, was_alone: bool) -> DeliverError {
    if error.code() == ErrorCode::MESSAGE_TOO_LARGE && !was_alone {
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
    let tls = (uri.scheme == UriScheme::Ssl).then(|| Tls {
        ca_pem: connection.ca().map(str::to_owned),
        client_certificate: connection.client_certificate().map(|(certificate, key)| ClientCertificate {
            certificate_pem: certificate.to_owned(),
            key_pem: key.clone(),
        }),
    });
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

/// How records are sent to a cluster.
pub(crate) fn producer(
    config: &ProducerConfig,
    cluster: ClusterSettings,
    delivery: Delivery,
) -> ProducerSettings {
    ProducerSettings::new(cluster, "ditto-connectivity")
        .with_delivery(delivery)
        .with_partitioning(config.partitioning)
        .with_compression(config.compression)
        .with_linger(config.linger)
        .with_batch_bytes(config.batch_bytes)
}

#[cfg(test)]
mod tests;
