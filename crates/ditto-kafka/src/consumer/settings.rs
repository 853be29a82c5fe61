//! How a consumer behaves.

use std::time::Duration;

use crate::cluster::{ClientProperties, ClusterSettings};
use crate::error::ClientError;
use crate::settings::Bounds;

/// Which topics to read, as which group, and within which bounds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsumerSettings {
    /// The cluster.
    pub cluster: ClusterSettings,
    /// The group whose offsets are committed.
    pub group_id: String,
    /// Name in the broker's logs and quotas.
    pub client_id: String,
    /// The topics.
    pub topics: Vec<String>,
    /// Where a partition starts for which the group has committed nothing.
    pub start_at: StartAt,
    /// Where a partition starts for which the group has committed something is after the newest record: what has come since
    /// is not wanted. Only for the partitions that this consumer gets first.
    pub skips_committed: bool,
    /// What to do when records are gone before they were read.
    pub on_truncation: OnTruncation,
    /// Longer values are not handed out, only their length.
    pub max_value_bytes: usize,
    /// What may lie between the last commit and the newest record of a partition, before it pauses.
    pub span: Bounds,
    /// How often offsets are committed, at least.
    pub commit_interval: Duration,
    /// Who this member is, for the whole life of an instance: one that comes back within the session takes up its
    /// partitions at once, and nobody else's move.
    pub instance_id: Option<String>,
    /// A member that is not heard of for so long has lost its partitions. Only with [`GroupProtocol::Classic`]: otherwise the
    /// brokers decide.
    pub session_timeout: Duration,
    /// How partitions are shared among the members.
    pub group_protocol: GroupProtocol,
    /// A partition that has records and gives none for so long is fetched anew.
    pub stall_after: Duration,
}

/// How the partitions are shared among the members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupProtocol {
    /// The members agree, cooperative and sticky.
    Classic,
    /// The brokers decide (KIP-848; Kafka 4.0 or newer). The session is theirs too.
    Consumer,
}

/// Where reading starts the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StartAt {
    /// At the oldest record.
    Earliest,
    /// After the newest record.
    Latest,
}

/// What to do when the next offset of a partition does not exist: retention has passed it, or the topic was truncated or
/// made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnTruncation {
    /// The consumer fails: somebody has to decide.
    Fail,
    /// Go on at the oldest record, and say what is gone.
    Earliest,
    /// Go on after the newest record, and say what is gone.
    Latest,
}

impl ConsumerSettings {
    /// From the newest record, failing when records are gone; values up to 1 MiB, 10 000 records or 32 MiB a partition, a
    /// commit a second, the classic protocol with a session of 10 s (the reference's, kafka-client.md §2), and a minute until
    /// a partition counts as stalled.
    #[must_use]
    pub fn new(
        cluster: ClusterSettings,
        group_id: impl Into<String>,
        topics: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let group_id = group_id.into();
        Self {
            cluster,
            client_id: group_id.clone(),
            group_id,
            topics: topics.into_iter().map(Into::into).collect(),
            start_at: StartAt::Latest,
            skips_committed: false,
            on_truncation: OnTruncation::Fail,
            max_value_bytes: 1 << 20,
            span: Bounds { records: 10_000, bytes: 32 << 20 },
            commit_interval: Duration::from_secs(1),
            instance_id: None,
            session_timeout: Duration::from_secs(10),
            group_protocol: GroupProtocol::Classic,
            stall_after: Duration::from_secs(60),
        }
    }

    /// With another start.
    #[must_use]
    pub fn with_start_at(mut self, start_at: StartAt) -> Self {
        self.start_at = start_at;
        self
    }

    /// Without what has come since the group last committed, see [`Self::skips_committed`].
    #[must_use]
    pub fn with_committed_skipped(mut self, skips: bool) -> Self {
        self.skips_committed = skips;
        self
    }

    /// With another way to go on when records are gone.
    #[must_use]
    pub fn with_on_truncation(mut self, policy: OnTruncation) -> Self {
        self.on_truncation = policy;
        self
    }

    /// With another longest value.
    #[must_use]
    pub fn with_max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// With other bounds per partition.
    #[must_use]
    pub fn with_span(mut self, span: Bounds) -> Self {
        self.span = span;
        self
    }

    /// With another interval between commits.
    #[must_use]
    pub fn with_commit_interval(mut self, interval: Duration) -> Self {
        self.commit_interval = interval;
        self
    }

    /// With an identity that outlives the process.
    #[must_use]
    pub fn with_instance_id(mut self, id: Option<String>) -> Self {
        self.instance_id = id;
        self
    }

    /// With another session.
    #[must_use]
    pub fn with_session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// With another group protocol.
    #[must_use]
    pub fn with_group_protocol(mut self, protocol: GroupProtocol) -> Self {
        self.group_protocol = protocol;
        self
    }

    /// With another patience for partitions that give nothing.
    #[must_use]
    pub fn with_stall_after(mut self, patience: Duration) -> Self {
        self.stall_after = patience;
        self
    }

    pub(crate) fn validate(&self) -> Result<(), ClientError> {
        let missing = |what: &str| Err(ClientError::configuration(format!("no {what} is given")));
        if self.cluster.bootstrap_servers.is_empty() {
            return missing("bootstrap server");
        }
        if self.group_id.is_empty() {
            return missing("group id");
        }
        if self.topics.is_empty() {
            return missing("topic");
        }
        self.span.validate()
    }

    pub(crate) fn properties(&self) -> ClientProperties {
        let mut properties = self.cluster.properties();
        properties
            .set("group.id", &self.group_id)
            .set("client.id", &self.client_id)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Not even to start: a reset that nobody is told of loses records.
            .set("auto.offset.reset", "error")
            // What is read ahead, in KiB over all partitions and in bytes per request.
            .set("queued.max.messages.kbytes", "8192")
            .set("queued.min.messages", "20000")
            // By default a full queue stops fetching for a second: that would be the rate of a small queue.
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.max.bytes", (4 << 20).to_string())
            // Small enough that what is fetched is still in the cache when it is read.
            .set("fetch.message.max.bytes", (256 << 10).to_string())
            .set("fetch.wait.max.ms", "100");
        match self.group_protocol {
            GroupProtocol::Classic => properties
                .set("group.protocol", "classic")
                .set("partition.assignment.strategy", "cooperative-sticky")
                .set("session.timeout.ms", self.session_timeout.as_millis().to_string())
                .set("heartbeat.interval.ms", (self.session_timeout / 4).as_millis().to_string()),
            // librdkafka refuses each of the others beside it.
            GroupProtocol::Consumer => properties.set("group.protocol", "consumer"),
        };
        if let Some(id) = &self.instance_id {
            properties.set("group.instance.id", id);
        }
        properties
    }
}
