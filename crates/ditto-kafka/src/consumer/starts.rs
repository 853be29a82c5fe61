//! Where partitions start and end.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use super::assignment::Assignment;
use super::partitions::{Place, PlaceOffset};
use super::settings::StartAt;
use crate::lock::lock;

/// How long the cluster may take for one answer. Two of them fit many times into the time that a member may stay away.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Where partitions start.
#[derive(Debug, Default)]
pub(super) struct Starts {
    pub(super) all: Vec<PlaceOffset>,
    /// Those of them that are to be committed: nothing was, or something that is to be skipped.
    pub(super) first: Vec<PlaceOffset>,
}

/// Where partitions start: at what is committed, or after the newest record if that is skipped; else at the oldest or newest
/// offset. One that the cluster can't answer for is left out.
pub(super) fn find<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    places: &[Place],
    start_at: StartAt,
    skips_committed: bool,
) -> KafkaResult<Starts> {
    // librdkafka refuses to ask for nothing.
    if places.is_empty() {
        return Ok(Starts::default());
    }
    let committed = consumer.committed_offsets(list_of(places), ANSWER_TIMEOUT)?;
    let mut starts = Starts::default();
    let (mut unknown, mut skipped) = (Vec::new(), Vec::new());
    for element in committed.elements().iter().filter(|it| it.error().is_ok()) {
        let (topic, partition): Place = (element.topic().into(), element.partition());
        match element.offset() {
            Offset::Offset(_) if skips_committed => skipped.push((topic, partition)),
            Offset::Offset(committed) => starts.all.push((topic, partition, committed)),
            _ => unknown.push((topic, partition)),
        }
    }
    let end = match start_at {
        StartAt::Earliest => Offset::Beginning,
        StartAt::Latest => Offset::End,
    };
    starts.first = ends(consumer, &unknown, end, ANSWER_TIMEOUT)?;
    starts.first.extend(ends(consumer, &skipped, Offset::End, ANSWER_TIMEOUT)?);
    starts.all.extend(starts.first.iter().cloned());
    Ok(starts)
}

/// The oldest (`Beginning`) or newest (`End`) offset of each partition, with one request for each of their brokers. One that
/// its broker can't answer for is left out.
pub(super) fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    places: &[Place],
    end: Offset,
    timeout: Duration,
) -> KafkaResult<Vec<PlaceOffset>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = list_of(places);
    list.set_all_offsets(end)?;
    let found = consumer.offsets_for_times(list, timeout)?;
    let answered = found.elements();
    let answered = answered.iter().filter(|it| it.error().is_ok());
    Ok(answered
        .filter_map(|it| match it.offset() {
            Offset::Offset(offset) => Some((it.topic().into(), it.partition(), offset)),
            _ => None,
        })
        .collect())
}

/// Begins anew to fetch partitions, from these offsets on. A partition that has stopped takes no seek.
pub(super) fn restart(consumer: &BaseConsumer<Assignment>, offsets: &[PlaceOffset]) -> KafkaResult<()> {
    if offsets.is_empty() {
        return Ok(());
    }
    {
        let mut partitions = lock(&consumer.context().partitions);
        offsets.iter().for_each(|(topic, partition, _)| partitions.resumed(topic, *partition));
    }
    let list = offsets_of(offsets);
    consumer.incremental_unassign(&list)?;
    consumer.incremental_assign(&list)?;
    consumer.resume(&list)
}

/// The list that librdkafka takes.
pub(super) fn list_of(places: &[Place]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(places.len());
    for (topic, partition) in places {
        list.add_partition(topic, *partition);
    }
    list
}

/// The same with offsets.
pub(super) fn offsets_of(offsets: &[PlaceOffset]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (topic, partition, offset) in offsets {
        // The list takes any offset that is no special value, and no record has one of those.
        let _added = list.add_partition_offset(topic, *partition, Offset::Offset(*offset));
    }
    list
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::CommitMode;

    use super::*;
    use crate::embedded::EmbeddedCluster;

    #[test]
    fn what_is_committed_wins_over_the_start() {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 2).unwrap();
        let mut properties = cluster.settings().properties();
        let client: BaseConsumer = properties.set("group.id", "g").to_config().create().unwrap();
        let place = |partition| (std::sync::Arc::from("in"), partition);
        client.commit(&offsets_of(&[("in".into(), 1, 7)]), CommitMode::Sync).unwrap();
        for start_at in [StartAt::Earliest, StartAt::Latest] {
            let mut starts = find(&client, &[place(0), place(1)], start_at, false).unwrap();
            starts.all.sort();
            assert_eq!(starts.all, [("in".into(), 0, 0), ("in".into(), 1, 7)]);
            assert_eq!(starts.first, [("in".into(), 0, 0)]);
        }
        assert!(find(&client, &[], StartAt::Latest, false).unwrap().all.is_empty());
        // Its end is 0: nothing was written.
        let skipped = find(&client, &[place(1)], StartAt::Earliest, true).unwrap();
        assert_eq!((&skipped.all, &skipped.first), (&vec![("in".into(), 1, 0)], &skipped.all));
    }
}
