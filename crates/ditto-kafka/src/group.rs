//! What a consumer group has committed, and how to move it while nobody reads.

mod error;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tracing::debug;

pub use self::error::{GroupError, GroupErrorKind};
use crate::cluster::ClusterSettings;
use crate::code::ErrorCode;
use crate::connection::ConnectionLog;
use crate::error::ClientError;

/// A consumer group, seen from outside: this never joins it. Every call waits for the cluster, for 10 s at most.
pub struct Group {
    id: String,
    client: BaseConsumer<Outsider>,
}

/// Where a group stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupPosition {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// The offset that the group reads next; `None` if it has committed nothing.
    pub committed: Option<i64>,
    /// The oldest offset that is there.
    pub low: i64,
    /// The offset after the newest record.
    pub high: i64,
}

impl GroupPosition {
    /// What lies before the group that is still there; everything if it has committed nothing.
    #[must_use]
    pub fn lag(&self) -> i64 {
        self.high.saturating_sub(self.committed.unwrap_or(self.low).max(self.low)).max(0)
    }
}

/// Who reads in a group now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// The name that the cluster gave it.
    pub id: String,
    /// The name that it gave itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
}

/// Where to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeekTo {
    /// To the oldest record.
    Earliest,
    /// After the newest record.
    Latest,
    /// To the first record that is not older than these milliseconds since 1970; after the newest if all are.
    Time(i64),
    /// To this offset, which must be there or be the next.
    Offset(i64),
}

/// A move in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seek {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// What is committed.
    pub from: Option<i64>,
    /// What shall be.
    pub to: i64,
}

const TIMEOUT: Duration = Duration::from_secs(10);

impl Group {
    /// A group of this name, whether it has ever been used or not. Connects in the background.
    ///
    /// # Errors
    ///
    /// The settings can't work, or the client can't be started.
    pub fn open(cluster: &ClusterSettings, id: impl Into<String>) -> Result<Self, ClientError> {
        let id = id.into();
        let mut properties = cluster.properties();
        properties.set("group.id", &id).set("enable.auto.commit", "false");
        let context = Outsider::default();
        let client = properties
            .to_config()
            .create_with_context(context)
            .map_err(|error| ClientError::from_rdkafka(&error))?;
        Ok(Self { id, client })
    }

    /// The name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it stands in each partition of these topics.
    ///
    /// # Errors
    ///
    /// A topic does not exist, or the cluster does not answer, or refuses.
    pub fn positions(&self, topics: &[String]) -> Result<Vec<GroupPosition>, GroupError> {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            let metadata = self
                .client
                .fetch_metadata(Some(topic), TIMEOUT)
                .map_err(|error| self.failed(format!("topic `{topic}` not found out"), &error))?;
            let found = metadata.topics().iter().find(|it| it.name() == topic);
            let partitions = found.map(|it| it.partitions()).unwrap_or_default();
            if partitions.is_empty() {
                return Err(GroupError::unknown_topic(topic));
            }
            let mut numbers: Vec<i32> = partitions.iter().map(|it| it.id()).collect();
            numbers.sort_unstable();
            for number in numbers {
                list.add_partition(topic, number);
            }
        }
        let committed = self
            .client
            .committed_offsets(list.clone(), TIMEOUT)
            .map_err(|error| self.failed(format!("commits of group `{}` not read", self.id), &error))?;
        let low = self.offsets(list.clone(), Offset::Beginning)?;
        let high = self.offsets(list, Offset::End)?;
        // librdkafka gives each list back in the order in which it was asked.
        let all = committed.elements();
        let all = all.iter().zip(low).zip(high);
        Ok(all
            .map(|((element, low), high)| GroupPosition {
                topic: element.topic().into(),
                partition: element.partition(),
                committed: offset(element.offset()),
                // A partition that was never written to has 0.
                low: low.unwrap_or_default(),
                high: high.unwrap_or_default(),
            })
            .collect())
    }

    /// Who reads in it now, as far as the classic protocol shows: of members that let the brokers share the partitions out
    /// (KIP-848) librdkafka's query tells nothing.
    ///
    /// # Errors
    ///
    /// The cluster does not answer, or refuses.
    pub fn members(&self) -> Result<Vec<GroupMember>, GroupError> {
        let found = self
            .client
            .fetch_group_list(Some(&self.id), TIMEOUT)
            .map_err(|error| self.failed(format!("members of group `{}` not found out", self.id), &error))?;
        let groups = found.groups().iter().filter(|it| it.name() == self.id);
        Ok(groups
            .flat_map(|group| group.members())
            .map(|member| GroupMember {
                id: member.id().to_owned(),
                client_id: member.client_id().to_owned(),
                host: member.client_host().trim_start_matches('/').to_owned(),
            })
            .collect())
    }

    /// What it takes to go there. Changes nothing.
    ///
    /// # Errors
    ///
    /// An offset that is not there, or the cluster does not answer, or refuses.
    pub fn plan(&self, positions: &[GroupPosition], to: SeekTo) -> Result<Vec<Seek>, GroupError> {
        let targets: Vec<i64> = match to {
            SeekTo::Earliest => positions.iter().map(|it| it.low).collect(),
            SeekTo::Latest => positions.iter().map(|it| it.high).collect(),
            SeekTo::Offset(offset) => {
                if let Some(out) = positions.iter().find(|it| !(it.low..=it.high).contains(&offset)) {
                    return Err(GroupError::out_of_range(out, offset));
                }
                vec![offset; positions.len()]
            }
            SeekTo::Time(millis) => {
                let mut list = TopicPartitionList::with_capacity(positions.len());
                for it in positions {
                    list.add_partition(&it.topic, it.partition);
                }
                // librdkafka takes the time in the place of the offset. One before 1970 would be a special value.
                let found = self.offsets(list, Offset::Offset(millis.max(0)))?;
                positions.iter().zip(found).map(|(it, found)| found.unwrap_or(it.high)).collect()
            }
        };
        let seek = |(it, to): (&GroupPosition, i64)| Seek {
            topic: Arc::clone(&it.topic),
            partition: it.partition,
            from: it.committed,
            to,
        };
        Ok(positions.iter().zip(targets).map(seek).collect())
    }

    /// Commits where to go: all or nothing.
    ///
    /// # Errors
    ///
    /// Somebody reads in the group, which the cluster refuses for; or it does not answer, or refuses for another reason.
    pub fn seek(&self, seeks: &[Seek]) -> Result<(), GroupError> {
        if seeks.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(seeks.len());
        for seek in seeks {
            list.add_partition_offset(&seek.topic, seek.partition, Offset::Offset(seek.to))
                .map_err(|error| self.failed(format!("offset {} can't be committed", seek.to), &error))?;
        }
        match self.client.commit(&list, CommitMode::Sync) {
            Ok(()) => Ok(()),
            // Who is no member may commit only while there are none.
            Err(error) if is_refused_for_members(&error) => {
                Err(GroupError::active(&self.id, &self.members().unwrap_or_default()))
            }
            Err(error) => Err(self.failed(format!("offsets of group `{}` not committed", self.id), &error)),
        }
    }

    /// Fails if somebody reads in it, as far as [`Self::members`] knows.
    ///
    /// # Errors
    ///
    /// It names the members; or as [`Self::members`].
    pub fn must_be_idle(&self) -> Result<(), GroupError> {
        let members = self.members()?;
        if members.is_empty() { Ok(()) } else { Err(GroupError::active(&self.id, &members)) }
    }

    fn offsets(&self, mut list: TopicPartitionList, of: Offset) -> Result<Vec<Option<i64>>, GroupError> {
        let failed = |error| self.failed("offsets of topics not found out".to_owned(), &error);
        list.set_all_offsets(of).map_err(failed)?;
        let found = self.client.offsets_for_times(list, TIMEOUT).map_err(failed)?;
        let elements = found.elements();
        elements.iter().map(|it| it.error().map(|()| offset(it.offset())).map_err(failed)).collect()
    }

    fn failed(&self, what: String, error: &KafkaError) -> GroupError {
        // What happens on the way is told only to who polls, and not at once.
        const POLLS: usize = 20;
        let state = || self.client.context().0.snapshot();
        for _ in 0..POLLS {
            if state().last_error().is_some() {
                break;
            }
            let _told = self.client.poll(Duration::from_millis(10));
        }
        let state = state();
        GroupError::cluster(what, ErrorCode::from_error(error), state.last_error())
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("id", &self.id).finish_non_exhaustive()
    }
}

fn offset(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }
}

fn is_refused_for_members(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::RebalanceInProgress
                | RDKafkaErrorCode::StaleMemberEpoch
                | RDKafkaErrorCode::FencedMemberEpoch
        )
    )
}

/// Keeps what goes wrong on the way to the cluster: a question that is not answered has no reason of its own.
#[derive(Default)]
struct Outsider(ConnectionLog);

impl ConsumerContext for Outsider {}

impl ClientContext for Outsider {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!(facility, text = message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.failed(ErrorCode::from_error(&error), reason);
    }
}

#[cfg(test)]
mod tests;
