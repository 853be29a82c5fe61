//! Every error code of librdkafka and of the Kafka protocol, with what it means for a producer.
//!
//! The one table of the crate: which part of the world an error concerns ([`Scope`]) and whether the
//! reference calls it retriable (outbound.md §6.4; kafka-error-status.json by protocol number).

use std::fmt;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use self::Scope::{Connection, Producer, Record, Target};

/// A Kafka error code: negative below -1 are librdkafka's own, the others are the protocol's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(i32);

/// What an error concerns, and thus who has to act (design.md §3, "Settlement and acknowledgement").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This record only: too large, a partition that does not exist, refused by the broker's policy.
    /// The next record may succeed; this one will not.
    Record,
    /// The topic: it does not exist, or must not be written to. Who computed the topic's name from
    /// the record's content may treat this as [`Scope::Record`].
    Target,
    /// The way to the cluster or the cluster's state: authentication, TLS, brokers or replicas missing.
    Connection,
    /// The producer's own state: fatal error, fenced, purged. The record is not at fault and must be
    /// enqueued again, in order, on a sound producer.
    Producer,
}

impl ErrorCode {
    /// The message did not get through within its time-out (librdkafka).
    pub const MSG_TIMED_OUT: Self = Self(-192);
    /// The partition does not exist (librdkafka).
    pub const UNKNOWN_PARTITION: Self = Self(-190);
    /// No broker can be reached (librdkafka).
    pub const ALL_BROKERS_DOWN: Self = Self(-187);
    /// An argument that librdkafka can't work with, as a topic name with a zero byte.
    pub const INVALID_ARG: Self = Self(-186);
    /// librdkafka's queue was full: the permits of this crate exist so that it never is.
    pub const QUEUE_FULL: Self = Self(-184);
    /// The TLS session could not be established (librdkafka).
    pub const SSL: Self = Self(-181);
    /// `_TRANSPORT`: the way to a broker broke.
    pub const TRANSPORT: Self = Self(-195);
    /// The broker refused the credentials (librdkafka).
    pub const AUTHENTICATION: Self = Self(-169);
    /// Purged before it was sent (librdkafka).
    pub const PURGE_QUEUE: Self = Self(-152);
    /// Purged while on its way (librdkafka).
    pub const PURGE_INFLIGHT: Self = Self(-151);
    /// The client is broken for good (librdkafka).
    pub const FATAL: Self = Self(-150);
    /// The group has another member with this instance id (protocol).
    pub const FENCED_INSTANCE_ID: Self = Self(82);
    /// The topic or partition does not exist (protocol).
    pub const UNKNOWN_TOPIC_OR_PARTITION: Self = Self(3);
    /// The record is larger than the topic admits (protocol); also what the client says at once
    /// about a record above `message.max.bytes`.
    pub const MESSAGE_TOO_LARGE: Self = Self(10);
    /// Too few replicas are in sync (protocol).
    pub const NOT_ENOUGH_REPLICAS: Self = Self(19);
    /// No permission to write to the topic (protocol).
    pub const TOPIC_AUTHORIZATION_FAILED: Self = Self(29);
    /// No permission on the cluster, as an idempotent producer needs it before Kafka 2.8 (protocol).
    pub const CLUSTER_AUTHORIZATION_FAILED: Self = Self(31);

    /// The code with this number, known or not.
    #[must_use]
    pub const fn from_number(number: i32) -> Self {
        Self(number)
    }

    /// The number in the protocol, or librdkafka's.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The name in the protocol (`TOPIC_AUTHORIZATION_FAILED`), or librdkafka's (`_MSG_TIMED_OUT`).
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN", |row| row.name)
    }

    /// One line on what it means.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.row().map_or("unknown error", |row| row.description)
    }

    /// What the error concerns. A number this crate does not know concerns the record.
    #[must_use]
    pub fn scope(self) -> Scope {
        self.row().map_or(Record, |row| row.scope)
    }

    /// Whether the reference calls it retriable, which makes its acknowledgement's status 500
    /// instead of 400 (outbound.md §6.4). It says nothing on whether *this* producer retries.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        self.row().is_some_and(|row| row.retriable)
    }

    /// All codes this crate knows, in the order of their numbers.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| Self(row.number))
    }

    /// Credentials or TLS are wrong: someone has to correct the configuration.
    pub(crate) fn is_security(self) -> bool {
        matches!(self.0, -181 | -169 | 31 | 33 | 34 | 54 | 58 | 61..=66)
    }

    pub(crate) fn from_rdkafka(code: RDKafkaErrorCode) -> Self {
        Self(code as i32)
    }

    pub(crate) fn from_error(error: &KafkaError) -> Self {
        error.rdkafka_error_code().map_or(Self::INVALID_ARG, Self::from_rdkafka)
    }

    fn row(self) -> Option<&'static Row> {
        let at = TABLE.binary_search_by_key(&self.0, |row| row.number).ok()?;
        TABLE.get(at)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorCode({self})")
    }
}

/// `TOPIC_AUTHORIZATION_FAILED (29)`.
impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

struct Row {
    number: i32,
    name: &'static str,
    scope: Scope,
    retriable: bool,
    description: &'static str,
}

const fn row(
    number: i32,
    name: &'static str,
    scope: Scope,
    retriable: bool,
    description: &'static str,
) -> Row {
    Row { number, name, scope, retriable, description }
}

/// Sorted by number. `true` = retriable in the reference (status 500).
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(-199, "_BAD_MSG", Record, false, "bad message format"),
    row(-198, "_BAD_COMPRESSION", Record, false, "invalid compressed data"),
    row(-197, "_DESTROY", Producer, false, "broker handle destroyed for termination"),
    row(-196, "_FAIL", Connection, false, "communication failure with broker"),
    row(-195, "_TRANSPORT", Connection, true, "broker transport failure"),
    row(-194, "_CRIT_SYS_RESOURCE", Connection, false, "critical system resource failure"),
    row(-193, "_RESOLVE", Connection, true, "host resolution failure"),
    row(-192, "_MSG_TIMED_OUT", Connection, true, "message timed out"),
    row(-191, "_PARTITION_EOF", Record, false, "no more messages"),
    row(-190, "_UNKNOWN_PARTITION", Record, false, "unknown partition"),
    row(-189, "_FS", Record, false, "file or filesystem error"),
    row(-188, "_UNKNOWN_TOPIC", Target, true, "unknown topic"),
    row(-187, "_ALL_BROKERS_DOWN", Connection, true, "all broker connections are down"),
    row(-186, "_INVALID_ARG", Record, false, "invalid argument or configuration"),
    row(-185, "_TIMED_OUT", Connection, true, "timed out"),
    row(-184, "_QUEUE_FULL", Connection, true, "queue full"),
    row(-183, "_ISR_INSUFF", Connection, true, "ISR count insufficient"),
    row(-182, "_NODE_UPDATE", Record, false, "broker node update"),
    row(-181, "_SSL", Connection, false, "SSL error"),
    row(-180, "_WAIT_COORD", Connection, true, "waiting for coordinator"),
    row(-179, "_UNKNOWN_GROUP", Record, false, "unknown group"),
    row(-178, "_IN_PROGRESS", Record, true, "operation in progress"),
    row(-177, "_PREV_IN_PROGRESS", Record, true, "previous operation in progress"),
    row(-176, "_EXISTING_SUBSCRIPTION", Record, false, "existing subscription"),
    row(-175, "_ASSIGN_PARTITIONS", Record, false, "assign partitions"),
    row(-174, "_REVOKE_PARTITIONS", Record, false, "revoke partitions"),
    row(-173, "_CONFLICT", Record, false, "conflicting use"),
    row(-172, "_STATE", Producer, false, "erroneous state"),
    row(-171, "_UNKNOWN_PROTOCOL", Connection, false, "unknown protocol"),
    row(-170, "_NOT_IMPLEMENTED", Record, false, "not implemented"),
    row(-169, "_AUTHENTICATION", Connection, false, "authentication failure"),
    row(-168, "_NO_OFFSET", Record, false, "no offset stored"),
    row(-167, "_OUTDATED", Record, false, "outdated"),
    row(-166, "_TIMED_OUT_QUEUE", Connection, true, "timed out in queue"),
    row(-165, "_UNSUPPORTED_FEATURE", Connection, false, "required feature not supported by broker"),
    row(-164, "_WAIT_CACHE", Connection, true, "awaiting cache update"),
    row(-163, "_INTR", Record, false, "operation interrupted"),
    row(-162, "_KEY_SERIALIZATION", Record, false, "key serialization error"),
    row(-161, "_VALUE_SERIALIZATION", Record, false, "value serialization error"),
    row(-160, "_KEY_DESERIALIZATION", Record, false, "key deserialization error"),
    row(-159, "_VALUE_DESERIALIZATION", Record, false, "value deserialization error"),
    row(-158, "_PARTIAL", Record, false, "partial response"),
    row(-157, "_READ_ONLY", Record, false, "read-only object"),
    row(-156, "_NOENT", Record, false, "no such entry"),
    row(-155, "_UNDERFLOW", Record, false, "read underflow"),
    row(-154, "_INVALID_TYPE", Record, false, "invalid type"),
    row(-153, "_RETRY", Connection, true, "retry operation"),
    row(-152, "_PURGE_QUEUE", Producer, true, "purged in queue"),
    row(-151, "_PURGE_INFLIGHT", Producer, true, "purged in flight"),
    row(-150, "_FATAL", Producer, false, "fatal error"),
    row(-149, "_INCONSISTENT", Producer, false, "inconsistent state"),
    row(-148, "_GAPLESS_GUARANTEE", Producer, false, "gap-less ordering would not be guaranteed if proceeding"),
    row(-147, "_MAX_POLL_EXCEEDED", Record, false, "maximum application poll interval (max.poll.interval.ms) exceeded"),
    row(-146, "_UNKNOWN_BROKER", Connection, false, "unknown broker"),
    row(-145, "_NOT_CONFIGURED", Record, false, "functionality not configured"),
    row(-144, "_FENCED", Producer, false, "this instance has been fenced by a newer instance"),
    row(-143, "_APPLICATION", Record, false, "application generated error"),
    row(-142, "_ASSIGNMENT_LOST", Record, false, "group partition assignment lost"),
    row(-141, "_NOOP", Record, false, "no operation performed"),
    row(-140, "_AUTO_OFFSET_RESET", Record, false, "no offset to automatically reset to"),
    row(-139, "_LOG_TRUNCATION", Record, false, "partition log truncation detected"),
    row(-138, "_INVALID_DIFFERENT_RECORD", Producer, false, "an invalid record in the same batch caused the failure of this message too"),
    row(-137, "_DESTROY_BROKER", Producer, false, "broker handle destroyed without termination"),
    row(-1, "UNKNOWN_SERVER_ERROR", Record, false, "unknown broker error"),
    row(1, "OFFSET_OUT_OF_RANGE", Record, false, "offset out of range"),
    row(2, "CORRUPT_MESSAGE", Record, true, "invalid message"),
    row(3, "UNKNOWN_TOPIC_OR_PARTITION", Target, true, "unknown topic or partition"),
    row(4, "INVALID_FETCH_SIZE", Record, false, "invalid message size"),
    row(5, "LEADER_NOT_AVAILABLE", Connection, true, "leader not available"),
    row(6, "NOT_LEADER_OR_FOLLOWER", Connection, true, "not leader for partition"),
    row(7, "REQUEST_TIMED_OUT", Connection, true, "request timed out"),
    row(8, "BROKER_NOT_AVAILABLE", Connection, false, "broker not available"),
    row(9, "REPLICA_NOT_AVAILABLE", Connection, true, "replica not available"),
    row(10, "MESSAGE_TOO_LARGE", Record, false, "message size too large"),
    row(11, "STALE_CONTROLLER_EPOCH", Record, false, "stale controller epoch"),
    row(12, "OFFSET_METADATA_TOO_LARGE", Record, false, "offset metadata string too large"),
    row(13, "NETWORK_EXCEPTION", Connection, true, "broker disconnected before response received"),
    row(14, "COORDINATOR_LOAD_IN_PROGRESS", Connection, true, "coordinator load in progress"),
    row(15, "COORDINATOR_NOT_AVAILABLE", Connection, true, "coordinator not available"),
    row(16, "NOT_COORDINATOR", Connection, true, "not coordinator"),
    row(17, "INVALID_TOPIC_EXCEPTION", Target, false, "invalid topic"),
    row(18, "RECORD_LIST_TOO_LARGE", Record, false, "message batch larger than configured server segment size"),
    row(19, "NOT_ENOUGH_REPLICAS", Connection, true, "not enough in-sync replicas"),
    row(20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Connection, true, "message(s) written to insufficient number of in-sync replicas"),
    row(21, "INVALID_REQUIRED_ACKS", Record, false, "invalid required acks value"),
    row(22, "ILLEGAL_GENERATION", Record, false, "specified group generation id is not valid"),
    row(23, "INCONSISTENT_GROUP_PROTOCOL", Record, false, "inconsistent group protocol"),
    row(24, "INVALID_GROUP_ID", Record, false, "invalid group.id"),
    row(25, "UNKNOWN_MEMBER_ID", Record, false, "unknown member"),
    row(26, "INVALID_SESSION_TIMEOUT", Record, false, "invalid session timeout"),
    row(27, "REBALANCE_IN_PROGRESS", Record, false, "group rebalance in progress"),
    row(28, "INVALID_COMMIT_OFFSET_SIZE", Record, false, "commit offset data size is not valid"),
    row(29, "TOPIC_AUTHORIZATION_FAILED", Target, false, "topic authorization failed"),
    row(30, "GROUP_AUTHORIZATION_FAILED", Record, false, "group authorization failed"),
    row(31, "CLUSTER_AUTHORIZATION_FAILED", Connection, false, "cluster authorization failed"),
    row(32, "INVALID_TIMESTAMP", Record, false, "invalid timestamp"),
    row(33, "UNSUPPORTED_SASL_MECHANISM", Connection, false, "unsupported SASL mechanism"),
    row(34, "ILLEGAL_SASL_STATE", Connection, false, "request not valid in current SASL state"),
    row(35, "UNSUPPORTED_VERSION", Connection, false, "API version not supported"),
    row(36, "TOPIC_ALREADY_EXISTS", Record, false, "topic already exists"),
    row(37, "INVALID_PARTITIONS", Record, false, "invalid number of partitions"),
    row(38, "INVALID_REPLICATION_FACTOR", Record, false, "invalid replication factor"),
    row(39, "INVALID_REPLICA_ASSIGNMENT", Record, false, "invalid replica assignment"),
    row(40, "INVALID_CONFIG", Record, false, "configuration is invalid"),
    row(41, "NOT_CONTROLLER", Connection, true, "not controller for cluster"),
    row(42, "INVALID_REQUEST", Record, false, "invalid request"),
    row(43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", Record, false, "message format on broker does not support request"),
    row(44, "POLICY_VIOLATION", Record, false, "policy violation"),
    row(45, "OUT_OF_ORDER_SEQUENCE_NUMBER", Producer, false, "broker received an out of order sequence number"),
    row(46, "DUPLICATE_SEQUENCE_NUMBER", Producer, false, "broker received a duplicate sequence number"),
    row(47, "INVALID_PRODUCER_EPOCH", Producer, false, "producer attempted an operation with an old epoch"),
    row(48, "INVALID_TXN_STATE", Producer, false, "producer attempted a transactional operation in an invalid state"),
    row(49, "INVALID_PRODUCER_ID_MAPPING", Producer, false, "producer attempted to use a producer id which is not currently assigned to its transactional id"),
    row(50, "INVALID_TRANSACTION_TIMEOUT", Record, false, "transaction timeout is larger than the maximum value allowed by the broker's max.transaction.timeout.ms"),
    row(51, "CONCURRENT_TRANSACTIONS", Connection, true, "producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing"),
    row(52, "TRANSACTION_COORDINATOR_FENCED", Producer, false, "indicates that the transaction coordinator sending a WriteTxnMarker is no longer the current coordinator for a given producer"),
    row(53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", Connection, false, "transactional Id authorization failed"),
    row(54, "SECURITY_DISABLED", Connection, false, "security features are disabled"),
    row(55, "OPERATION_NOT_ATTEMPTED", Record, false, "operation not attempted"),
    row(56, "KAFKA_STORAGE_ERROR", Connection, true, "disk error when trying to access log file on disk"),
    row(57, "LOG_DIR_NOT_FOUND", Record, false, "the user-specified log directory is not found in the broker config"),
    row(58, "SASL_AUTHENTICATION_FAILED", Connection, false, "SASL Authentication failed"),
    row(59, "UNKNOWN_PRODUCER_ID", Producer, false, "unknown Producer Id"),
    row(60, "REASSIGNMENT_IN_PROGRESS", Record, false, "partition reassignment is in progress"),
    row(61, "DELEGATION_TOKEN_AUTH_DISABLED", Connection, false, "delegation Token feature is not enabled"),
    row(62, "DELEGATION_TOKEN_NOT_FOUND", Connection, false, "delegation Token is not found on server"),
    row(63, "DELEGATION_TOKEN_OWNER_MISMATCH", Connection, false, "specified Principal is not valid Owner/Renewer"),
    row(64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", Connection, false, "delegation Token requests are not allowed on this connection"),
    row(65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", Connection, false, "delegation Token authorization failed"),
    row(66, "DELEGATION_TOKEN_EXPIRED", Connection, false, "delegation Token is expired"),
    row(67, "INVALID_PRINCIPAL_TYPE", Record, false, "supplied principalType is not supported"),
    row(68, "NON_EMPTY_GROUP", Record, false, "the group is not empty"),
    row(69, "GROUP_ID_NOT_FOUND", Record, false, "the group id does not exist"),
    row(70, "FETCH_SESSION_ID_NOT_FOUND", Record, true, "the fetch session ID was not found"),
    row(71, "INVALID_FETCH_SESSION_EPOCH", Record, true, "the fetch session epoch is invalid"),
    row(72, "LISTENER_NOT_FOUND", Connection, true, "no matching listener"),
    row(73, "TOPIC_DELETION_DISABLED", Record, false, "topic deletion is disabled"),
    row(74, "FENCED_LEADER_EPOCH", Connection, true, "leader epoch is older than broker epoch"),
    row(75, "UNKNOWN_LEADER_EPOCH", Connection, true, "leader epoch is newer than broker epoch"),
    row(76, "UNSUPPORTED_COMPRESSION_TYPE", Record, false, "unsupported compression type"),
    row(77, "STALE_BROKER_EPOCH", Connection, false, "broker epoch has changed"),
    row(78, "OFFSET_NOT_AVAILABLE", Connection, true, "leader high watermark is not caught up"),
    row(79, "MEMBER_ID_REQUIRED", Record, false, "group member needs a valid member ID"),
    row(80, "PREFERRED_LEADER_NOT_AVAILABLE", Connection, true, "preferred leader was not available"),
    row(81, "GROUP_MAX_SIZE_REACHED", Record, false, "consumer group has reached maximum size"),
    row(82, "FENCED_INSTANCE_ID", Record, false, "static consumer fenced by other consumer with same group.instance.id"),
    row(83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", Connection, true, "eligible partition leaders are not available"),
    row(84, "ELECTION_NOT_NEEDED", Record, true, "leader election not needed for topic partition"),
    row(85, "NO_REASSIGNMENT_IN_PROGRESS", Record, false, "no partition reassignment is in progress"),
    row(86, "GROUP_SUBSCRIBED_TO_TOPIC", Record, false, "deleting offsets of a topic while the consumer group is subscribed to it"),
    row(87, "INVALID_RECORD", Record, false, "broker failed to validate record"),
    row(88, "UNSTABLE_OFFSET_COMMIT", Record, true, "there are unstable offsets that need to be cleared"),
    row(89, "THROTTLING_QUOTA_EXCEEDED", Connection, true, "throttling quota has been exceeded"),
    row(90, "PRODUCER_FENCED", Producer, false, "there is a newer producer with the same transactionalId which fences the current one"),
    row(91, "RESOURCE_NOT_FOUND", Record, false, "request illegally referred to resource that does not exist"),
    row(92, "DUPLICATE_RESOURCE", Record, false, "request illegally referred to the same resource twice"),
    row(93, "UNACCEPTABLE_CREDENTIAL", Record, false, "requested credential would not meet criteria for acceptability"),
    row(94, "INCONSISTENT_VOTER_SET", Record, false, "indicates that the either the sender or recipient of a voter-only request is not one of the expected voters"),
    row(95, "INVALID_UPDATE_VERSION", Record, false, "invalid update version"),
    row(96, "FEATURE_UPDATE_FAILED", Record, false, "unable to update finalized features due to server error"),
    row(97, "PRINCIPAL_DESERIALIZATION_FAILURE", Record, false, "request principal deserialization failed during forwarding"),
    row(98, "SNAPSHOT_NOT_FOUND", Record, false, "snapshot not found"),
    row(99, "POSITION_OUT_OF_RANGE", Record, false, "position out of range"),
    row(100, "UNKNOWN_TOPIC_ID", Target, true, "unknown topic id"),
    row(101, "DUPLICATE_BROKER_REGISTRATION", Record, false, "duplicate broker registration"),
    row(102, "BROKER_ID_NOT_REGISTERED", Record, false, "broker id not registered"),
    row(103, "INCONSISTENT_TOPIC_ID", Target, true, "inconsistent topic id"),
    row(104, "INCONSISTENT_CLUSTER_ID", Record, false, "inconsistent cluster id"),
    row(105, "TRANSACTIONAL_ID_NOT_FOUND", Record, false, "transactional id not found"),
    row(106, "FETCH_SESSION_TOPIC_ID_ERROR", Record, true, "fetch session topic id error"),
    row(107, "INELIGIBLE_REPLICA", Record, false, "ineligible replica"),
    row(108, "NEW_LEADER_ELECTED", Record, false, "new leader elected"),
    row(109, "OFFSET_MOVED_TO_TIERED_STORAGE", Record, false, "offset moved to tiered storage"),
    row(110, "FENCED_MEMBER_EPOCH", Record, false, "the member epoch is fenced by the group coordinator"),
    row(111, "UNRELEASED_INSTANCE_ID", Record, false, "the instance ID is still used by another member in the consumer group"),
    row(112, "UNSUPPORTED_ASSIGNOR", Record, false, "the assignor or its version range is not supported by the consumer group"),
    row(113, "STALE_MEMBER_EPOCH", Record, false, "the member epoch is stale"),
    row(114, "MISMATCHED_ENDPOINT_TYPE", Connection, false, "mismatched endpoint type"),
    row(115, "UNSUPPORTED_ENDPOINT_TYPE", Connection, false, "unsupported endpoint type"),
    row(116, "UNKNOWN_CONTROLLER_ID", Record, false, "unknown controller id"),
    row(117, "UNKNOWN_SUBSCRIPTION_ID", Record, false, "client sent a push telemetry request with an invalid or outdated subscription ID"),
    row(118, "TELEMETRY_TOO_LARGE", Record, false, "client sent a push telemetry request larger than the maximum size the broker will accept"),
    row(119, "INVALID_REGISTRATION", Record, false, "invalid registration"),
    row(120, "TRANSACTION_ABORTABLE", Producer, false, "transaction abortable"),
    row(121, "INVALID_RECORD_STATE", Record, false, "invalid record state"),
    row(122, "SHARE_SESSION_NOT_FOUND", Record, true, "share session not found"),
    row(123, "INVALID_SHARE_SESSION_EPOCH", Record, true, "invalid share session epoch"),
    row(124, "FENCED_STATE_EPOCH", Record, false, "fenced state epoch"),
    row(125, "INVALID_VOTER_KEY", Record, false, "invalid voter key"),
    row(126, "DUPLICATE_VOTER", Record, false, "duplicate voter"),
    row(127, "VOTER_NOT_FOUND", Record, false, "voter not found"),
    row(129, "REBOOTSTRAP_REQUIRED", Connection, true, "client metadata is stale, client should rebootstrap to obtain new metadata"),];

#[cfg(test)]
mod tests;
