#![doc = include_str!("../README.md")]

mod client;
mod cluster;
mod code;
mod connection;
mod consumer;
mod embedded;
mod error;
mod group;
mod lock;
mod mailbox;
mod offsets;
mod partitioner;
mod permits;
mod pool;
mod publisher;
mod record;
mod service;
mod settings;
mod table;

pub use self::{
    cluster::{ClientCertificate, ClusterSettings, Sasl, SaslMechanism, Security, Tls},
    code::{ErrorCode, Scope},
    connection::{ConnectionError, ConnectionState, ConnectionStatus},
    consumer::{
        ConsumedRecord, Consumer, ConsumerCounts, ConsumerMonitor, ConsumerSettings, ConsumerTicket,
        GroupProtocol, OnTruncation, StartAt, Value,
    },
    embedded::{EmbeddedCluster, RequestKind, StoredRecord, Tail},
    error::{ClientError, ClientErrorKind, PublishError},
    group::{Group, GroupError, GroupErrorKind, GroupMember, GroupPosition, Seek, SeekTo},
    offsets::{OffsetTracker, Span},
    partitioner::partition_of_key,
    pool::{ClientState, PoolCounts, ProducerPool},
    publisher::Publisher,
    record::{Completion, Delivered, OwnedRecord, Record, Token},
    service::{PublishFuture, PublishService},
    settings::{
        Bounds, Compression, Delivery, Fingerprint, MAX_RECORD_BYTES, Partitioning, ProducerSettings,
    },
    table::{TableEnds, TableReader, TableRecord},
};
