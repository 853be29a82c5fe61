//! A Kafka cluster inside the process, for tests and for a first look.

mod tail;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

pub use self::tail::Tail;
use crate::cluster::ClusterSettings;
use crate::code::ErrorCode;
use crate::error::ClientError;
use crate::record::OwnedRecord;

/// librdkafka's mock cluster: real sockets on loopback, no durability.
///
/// It knows produce, fetch, groups and idempotence; no TLS, SASL, permissions or topic administration.
/// A partition keeps 100 000 records or 5 MiB, a new group's first record comes after some 3 s, and
/// reports carry no true time (dependencies.md §2, peers.md). Topics that do not exist are made on first
/// use, with 4 partitions.
///
/// The cluster lives in a thread of its own and ends when this is dropped.
#[derive(Debug)]
pub struct EmbeddedCluster {
    bootstrap_servers: String,
    commands: Sender<Command>,
}

type Mock = MockCluster<'static, DefaultProducerContext>;
type Command = Box<dyn FnOnce(&Mock) + Send>;

impl EmbeddedCluster {
    /// A cluster with this many brokers.
    ///
    /// # Errors
    ///
    /// A thread or a socket can't be had.
    pub fn new(brokers: u8) -> Result<Self, ClientError> {
        let (commands, received) = channel();
        let (started, start) = channel();
        thread::Builder::new()
            .name("kafka-embedded".to_owned())
            .spawn(move || serve(brokers, &started, &received))
            .map_err(|error| ClientError::start(error.to_string()))?;
        let bootstrap_servers = start
            .recv()
            .map_err(|_| ClientError::start("embedded cluster ended early"))?
            .map_err(|error| ClientError::from_rdkafka(&error))?;
        Ok(Self { bootstrap_servers, commands })
    }

    /// `127.0.0.1:port` of each broker, with commas between.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// How to reach it.
    #[must_use]
    pub fn settings(&self) -> ClusterSettings {
        ClusterSettings::plaintext(self.bootstrap_servers.split(','))
    }

    /// Makes a topic.
    ///
    /// # Errors
    ///
    /// The topic exists already, or its name is not valid.
    pub fn create_topic(&self, topic: &str, partitions: u16) -> Result<(), ClientError> {
        let topic = topic.to_owned();
        self.run(move |mock| mock.create_topic(&topic, i32::from(partitions), 1))?
            .map_err(|error| ClientError::from_rdkafka(&error))
    }

    /// Everything a topic holds, partition by partition, each in the order of its offsets. Reads by
    /// assignment, without a group. Blocks; call it on a blocking thread where that matters.
    ///
    /// # Errors
    ///
    /// The topic does not exist, or the cluster does not answer within 10 s.
    pub fn read_back(&self, topic: &str) -> Result<Vec<StoredRecord>, ClientError> {
        tail::read_back(&self.settings(), topic).map_err(|error| ClientError::from_rdkafka(&error))
    }

    /// Follows topics from their first record on, by assignment and without a group.
    ///
    /// # Errors
    ///
    /// A topic does not exist, or the cluster does not answer within 10 s.
    pub fn tail(&self, topics: &[&str]) -> Result<Tail, ClientError> {
        Tail::open(&self.settings(), topics).map_err(|error| ClientError::from_rdkafka(&error))
    }

    /// The next requests of this kind fail with these errors, one each. `_TRANSPORT` closes the
    /// connection instead; no error (0) lets one request pass.
    ///
    /// # Errors
    ///
    /// A number that Kafka does not have.
    pub fn request_errors(&self, request: RequestKind, errors: &[ErrorCode]) -> Result<(), ClientError> {
        let errors: Vec<RDKafkaRespErr> = errors.iter().map(|it| native(*it)).collect::<Result<_, _>>()?;
        self.run(move |mock| mock.request_errors(request.native(), &errors))
    }

    /// Requests of this kind succeed again.
    ///
    /// # Errors
    ///
    /// The cluster has ended.
    pub fn clear_request_errors(&self, request: RequestKind) -> Result<(), ClientError> {
        self.run(move |mock| mock.clear_request_errors(request.native()))
    }

    /// Whoever asks for this topic's metadata gets this error; 0 takes it away.
    ///
    /// # Errors
    ///
    /// A number that Kafka does not have.
    pub fn topic_error(&self, topic: &str, error: ErrorCode) -> Result<(), ClientError> {
        let error = native(error)?;
        let topic = topic.to_owned();
        self.run(move |mock| mock.topic_error(&topic, error))?
            .map_err(|error| ClientError::from_rdkafka(&error))
    }

    /// Makes a broker (from 1) the leader of a partition, or leaves it without one.
    ///
    /// # Errors
    ///
    /// There is no such broker.
    pub fn partition_leader(
        &self,
        topic: &str,
        partition: i32,
        broker: Option<i32>,
    ) -> Result<(), ClientError> {
        let topic = topic.to_owned();
        self.run(move |mock| mock.partition_leader(&topic, partition, broker))?
            .map_err(|error| ClientError::from_rdkafka(&error))
    }

    /// Disconnects a broker (from 1; `None`: all) and lets nobody in.
    ///
    /// # Errors
    ///
    /// There is no such broker.
    pub fn broker_down(&self, broker: Option<i32>) -> Result<(), ClientError> {
        self.run(move |mock| mock.broker_down(broker.unwrap_or(-1)))?
            .map_err(|error| ClientError::from_rdkafka(&error))
    }

    /// Lets clients in again.
    ///
    /// # Errors
    ///
    /// There is no such broker.
    pub fn broker_up(&self, broker: Option<i32>) -> Result<(), ClientError> {
        self.run(move |mock| mock.broker_up(broker.unwrap_or(-1)))?
            .map_err(|error| ClientError::from_rdkafka(&error))
    }

    /// Runs something in the cluster's thread and waits for it.
    fn run<T: Send + 'static>(
        &self,
        command: impl FnOnce(&Mock) -> T + Send + 'static,
    ) -> Result<T, ClientError> {
        let (answer, answered) = channel();
        let ended = |()| ClientError::closed("embedded cluster has ended");
        self.commands
            .send(Box::new(move |mock| {
                // Who asked waits below.
                let _sent = answer.send(command(mock));
            }))
            .map_err(|_| ended(()))?;
        answered.recv().map_err(|_| ended(()))
    }
}

/// The kinds of request that [`EmbeddedCluster::request_errors`] can let fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestKind {
    /// Produce.
    Produce,
    /// Fetch.
    Fetch,
    /// Metadata.
    Metadata,
    /// The first request of an idempotent producer.
    InitProducerId,
    /// Where a group is coordinated.
    FindCoordinator,
    /// Commit of offsets.
    OffsetCommit,
    /// Query of committed offsets.
    OffsetFetch,
    /// A sign of life of a member, in the classic protocol.
    Heartbeat,
    /// A member asks to be one, in the classic protocol.
    JoinGroup,
}

impl RequestKind {
    fn native(self) -> RDKafkaApiKey {
        match self {
            Self::Produce => RDKafkaApiKey::Produce,
            Self::Fetch => RDKafkaApiKey::Fetch,
            Self::Metadata => RDKafkaApiKey::Metadata,
            Self::InitProducerId => RDKafkaApiKey::InitProducerId,
            Self::FindCoordinator => RDKafkaApiKey::FindCoordinator,
            Self::OffsetCommit => RDKafkaApiKey::OffsetCommit,
            Self::OffsetFetch => RDKafkaApiKey::OffsetFetch,
            Self::Heartbeat => RDKafkaApiKey::Heartbeat,
            Self::JoinGroup => RDKafkaApiKey::JoinGroup,
        }
    }
}

/// A record as it lies in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// The record; its partition is set.
    pub record: OwnedRecord,
    /// Offset within the partition.
    pub offset: i64,
}

fn serve(brokers: u8, started: &Sender<Result<String, KafkaError>>, commands: &Receiver<Command>) {
    let mock = match MockCluster::new(i32::from(brokers)) {
        Ok(mock) => mock,
        Err(error) => {
            // Who asked waits in `new`.
            let _sent = started.send(Err(error));
            return;
        }
    };
    let _sent = started.send(Ok(mock.bootstrap_servers()));
    while let Ok(command) = commands.recv() {
        command(&mock);
    }
}

fn native(code: ErrorCode) -> Result<RDKafkaRespErr, ClientError> {
    RDKafkaRespErr::try_from(code.number())
        .map_err(|_| ClientError::configuration(format!("librdkafka has no error {code}")))
}

#[cfg(test)]
mod tests;
