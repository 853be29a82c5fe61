use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::partitions::Partitions;
use super::*;
use crate::code::ErrorCode;
use crate::connection::ConnectionStatus;
use crate::embedded::{EmbeddedCluster, RequestKind};
use crate::pool::ProducerPool;
use crate::record::{Record, Token};
use crate::settings::{Bounds, ProducerSettings};

/// The session has expired, and the group has gone on without this member.
const UNKNOWN_MEMBER_ID: ErrorCode = ErrorCode::from_number(25);

/// Writes `n` numbered records to a topic, over its partitions.
async fn write(cluster: &EmbeddedCluster, topic: &str, numbers: std::ops::Range<usize>) {
    let settings = ProducerSettings::new(cluster.settings(), "writer");
    let pool = ProducerPool::new();
    let mut publisher = pool.publisher(&settings, Bounds::default()).unwrap();
    for n in numbers {
        let text = n.to_string();
        let record = Record::to(topic).payload(text.as_bytes()).headers([("n", text.as_bytes())]);
        publisher.enqueue(record, Token(0)).unwrap();
    }
    assert!(publisher.flush(Duration::from_secs(20)).await);
}

fn settings(cluster: &EmbeddedCluster, group: &str) -> ConsumerSettings {
    ConsumerSettings::new(cluster.settings(), group, ["in"])
        .with_start_at(StartAt::Earliest)
        .with_commit_interval(Duration::from_millis(50))
}

fn number(record: &ConsumedRecord) -> usize {
    let Value::Bytes(value) = &record.value else { panic!("{record:?}") };
    assert_eq!(record.headers, [(Bytes::from("n"), value.clone())]);
    std::str::from_utf8(value).unwrap().parse().unwrap()
}

async fn read(consumer: &mut Consumer, wanted: usize) -> Vec<ConsumedRecord> {
    let mut records = Vec::new();
    while records.len() < wanted {
        let batch = tokio::time::timeout(Duration::from_secs(30), consumer.next_batch()).await;
        records.extend(batch.expect("records come").expect("not ended"));
    }
    records
}

/// What group `g` has committed of topic `in`. A second member would wait for ever: the embedded cluster does not let
/// anybody into a group that all have left. The tests with a real broker do it.
fn committed(cluster: &EmbeddedCluster, partitions: i32) -> Vec<Option<i64>> {
    let mut properties = settings(cluster, "g").properties();
    let client: BaseConsumer = properties.set("client.id", "observer").to_config().create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_range("in", 0, partitions - 1);
    let committed = client.committed_offsets(list, Duration::from_secs(10)).unwrap();
    committed
        .elements()
        .iter()
        .map(|element| element.offset().to_raw().filter(|offset| *offset >= 0))
        .collect()
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn commits_what_lies_below_the_first_unsettled_record() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 3).unwrap();
        write(&cluster, "in", 0..300).await;

        let mut consumer = Consumer::start(&settings(&cluster, "g")).unwrap();
        let records = read(&mut consumer, 300).await;
        assert_eq!(records.len(), 300);
        // Of each partition all but the one at offset 40 settle, the last first.
        let settled = records.iter().rev().filter(|record| record.offset != 40).map(|record| record.ticket);
        consumer.settle(settled.collect::<Vec<_>>());
        assert!(consumer.close(Duration::from_secs(20)).await);

        assert_eq!(committed(&cluster, 3), [Some(40); 3]);
    });
}

#[test]
fn a_partition_pauses_at_its_span_and_goes_on() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        write(&cluster, "in", 0..2_000).await;

        let bounds = Bounds { records: 100, bytes: 32 << 20 };
        let mut consumer = Consumer::start(&settings(&cluster, "g").with_span(bounds)).unwrap();
        // The first one never settles while the others do: the span fills.
        let first = read(&mut consumer, 1).await;
        let held = first[0].ticket;
        consumer.settle(first[1..].iter().map(|record| record.ticket).collect::<Vec<_>>());
        let mut count = first.len();
        while let Ok(Some(batch)) = tokio::time::timeout(Duration::from_secs(1), consumer.next_batch()).await
        {
            count += batch.len();
            consumer.settle(batch.iter().map(|record| record.ticket).collect::<Vec<_>>());
        }
        // The bound is looked at between batches.
        assert!((100..=100 + 512).contains(&count), "{count}");
        consumer.settle([held]);
        let mut next = count;
        while next < 2_000 {
            let batch = read(&mut consumer, 1).await;
            for record in &batch {
                assert_eq!(number(record), next, "in order, none twice, none left out");
                next += 1;
            }
            consumer.settle(batch.iter().map(|record| record.ticket).collect::<Vec<_>>());
        }
        assert!(consumer.close(Duration::from_secs(20)).await);
    });
}

#[test]
fn large_values_are_not_copied_and_tombstones_are_told() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        let pool = ProducerPool::new();
        let settings_of_writer = ProducerSettings::new(cluster.settings(), "writer");
        let mut publisher = pool.publisher(&settings_of_writer, Bounds::default()).unwrap();
        publisher.enqueue(Record::to("in").payload(&[b'x'; 5_000]), Token(0)).unwrap();
        publisher.enqueue(Record::to("in").key(b"k"), Token(0)).unwrap();
        assert!(publisher.flush(Duration::from_secs(20)).await);

        let mut consumer = Consumer::start(&settings(&cluster, "g").with_max_value_bytes(4_999)).unwrap();
        let records = read(&mut consumer, 2).await;
        assert_eq!(records[0].value, Value::Oversized(5_000));
        assert_eq!((&records[1].value, records[1].key.as_deref()), (&Value::Null, Some(&b"k"[..])));
        consumer.stop();
        while consumer.next_batch().await.is_some() {}
        assert_eq!(consumer.failure(), None);
        assert!(consumer.close(Duration::from_secs(20)).await);
    });
}

#[test]
fn a_first_start_at_the_newest_record_is_committed() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        write(&cluster, "in", 0..10).await;
        let mut consumer = Consumer::start(&settings(&cluster, "g").with_start_at(StartAt::Latest)).unwrap();
        // Nothing comes; what comes while it is away must be for its successor.
        assert!(tokio::time::timeout(Duration::from_secs(6), consumer.next_batch()).await.is_err());
        assert!(consumer.close(Duration::from_secs(20)).await);
        assert_eq!(committed(&cluster, 1), [Some(10)]);
    });
}

/// Makes the group believe it has read what the topic does not have: it was made anew.
fn commit_beyond(cluster: &EmbeddedCluster, offset: i64) {
    let client: BaseConsumer = settings(cluster, "g").properties().to_config().create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("in", 0, rdkafka::Offset::Offset(offset)).unwrap();
    client.commit(&list, rdkafka::consumer::CommitMode::Sync).unwrap();
}

#[test]
fn records_that_are_gone_end_the_consumer_with_the_reason() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        write(&cluster, "in", 0..10).await;
        commit_beyond(&cluster, 500);
        let mut consumer = Consumer::start(&settings(&cluster, "g")).unwrap();
        let batch = tokio::time::timeout(Duration::from_secs(30), consumer.next_batch()).await;
        assert!(batch.expect("it ends").is_none());
        assert_eq!(
            consumer.failure().unwrap().to_string(),
            "records are gone before they were read: in[0] has offsets 0 to 10, and 500 was to be read: the topic was \
             truncated or made anew"
        );
        consumer.close(Duration::from_secs(20)).await;
        assert_eq!(committed(&cluster, 1), [Some(500)]);
    });
}

#[test]
fn records_that_are_gone_are_left_behind_by_policy() {
    leave_behind(GroupProtocol::Classic);
}

#[test]
fn records_that_are_gone_are_left_behind_where_the_brokers_share_out() {
    leave_behind(GroupProtocol::Consumer);
}

fn leave_behind(protocol: GroupProtocol) {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        write(&cluster, "in", 0..10).await;
        commit_beyond(&cluster, 500);
        let settings =
            settings(&cluster, "g").with_on_truncation(OnTruncation::Earliest).with_group_protocol(protocol);
        let mut consumer = Consumer::start(&settings).unwrap();
        let records = read(&mut consumer, 10).await;
        assert_eq!((consumer.counts().gaps, consumer.counts().gone), (1, 0), "nobody knows how many");
        assert_eq!(records.iter().map(|it| it.offset).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        consumer.settle(records.iter().map(|it| it.ticket));
        assert!(consumer.close(Duration::from_secs(20)).await);
        assert_eq!(committed(&cluster, 1), [Some(10)]);
    });
}

/// The owner has no room, so the reader only polls to stay in the group: it must not pass over what it is told then.
#[test]
fn a_failure_while_the_owner_has_no_room_is_told_after_the_rest() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        write(&cluster, "in", 0..3_000).await;
        let settings = settings(&cluster, "g")
            .with_session_timeout(Duration::from_secs(6))
            .with_instance_id(Some("one".to_owned()));
        let mut consumer = Consumer::start(&settings).unwrap();
        until("there is no room", || consumer.counts().batches == 2).await;
        cluster.request_errors(RequestKind::Heartbeat, &[ErrorCode::FENCED_INSTANCE_ID]).unwrap();
        let told = || consumer.connection_state().last_error().map(crate::connection::ConnectionError::code);
        until("it is told", || told() == Some(ErrorCode::FENCED_INSTANCE_ID)).await;
        let mut count = 0;
        while let Some(batch) =
            tokio::time::timeout(Duration::from_secs(30), consumer.next_batch()).await.expect("it ends")
        {
            for record in &batch {
                assert_eq!(number(record), count);
                count += 1;
            }
        }
        assert!(count > 512, "{count}");
        assert_eq!(
            consumer.failure().unwrap().kind(),
            crate::error::ClientErrorKind::Cluster(ErrorCode::FENCED_INSTANCE_ID)
        );
        consumer.close(Duration::from_secs(20)).await;
    });
}

/// Waits for something that the consumer's thread does.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn the_brokers_share_partitions_out() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 3).unwrap();
        write(&cluster, "in", 0..300).await;
        let settings = settings(&cluster, "g")
            .with_group_protocol(GroupProtocol::Consumer)
            .with_instance_id(Some("one".to_owned()));
        let mut consumer = Consumer::start(&settings).unwrap();
        let records = read(&mut consumer, 300).await;
        let settled = records.iter().filter(|record| record.offset < 40).map(|record| record.ticket);
        consumer.settle(settled.collect::<Vec<_>>());
        assert!(consumer.close(Duration::from_secs(20)).await);
        assert_eq!(committed(&cluster, 3), [Some(40); 3]);
        // The same instance comes back.
        let mut consumer = Consumer::start(&settings).unwrap();
        let records = read(&mut consumer, 180).await;
        assert!(records.iter().all(|record| record.offset >= 40));
        consumer.settle(records.iter().map(|record| record.ticket));
        assert!(consumer.close(Duration::from_secs(20)).await);
        assert_eq!(committed(&cluster, 3), [Some(100); 3]);
    });
}

#[test]
fn commits_that_fail_are_asked_for_again() {
    /// GROUP_AUTHORIZATION_FAILED: nothing that librdkafka would try again by itself.
    const REFUSED: ErrorCode = ErrorCode::from_number(30);
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        write(&cluster, "in", 0..10).await;
        let mut consumer = Consumer::start(&settings(&cluster, "g")).unwrap();
        let records = read(&mut consumer, 10).await;
        cluster.request_errors(RequestKind::OffsetCommit, &[REFUSED; 3]).unwrap();
        consumer.settle(records.iter().map(|it| it.ticket));
        // No further record comes that would bring another commit with it.
        until("it is committed", || committed(&cluster, 1) == [Some(10)]).await;
        assert!(consumer.close(Duration::from_secs(20)).await);
    });
}

/// Commits fail without end: what would be read again must not grow without end.
#[test]
fn a_group_that_can_t_commit_pauses() {
    const REFUSED: ErrorCode = ErrorCode::from_number(30);
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        write(&cluster, "in", 0..20_000).await;
        let bounds = Bounds { records: 1_000, bytes: 32 << 20 };
        let mut consumer = Consumer::start(&settings(&cluster, "g").with_span(bounds)).unwrap();
        let mut count = 0;
        let first = read(&mut consumer, 1).await;
        count += first.len();
        cluster.request_errors(RequestKind::OffsetCommit, &[REFUSED; 2_000]).unwrap();
        consumer.settle(first.iter().map(|it| it.ticket));
        while let Ok(Some(batch)) = tokio::time::timeout(Duration::from_secs(2), consumer.next_batch()).await
        {
            count += batch.len();
            consumer.settle(batch.iter().map(|it| it.ticket));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(count < 10_000, "{count} records were handed out, and nothing is committed");
        cluster.clear_request_errors(RequestKind::OffsetCommit).unwrap();
        while count < 20_000 {
            let batch = read(&mut consumer, 1).await;
            count += batch.len();
            consumer.settle(batch.iter().map(|it| it.ticket));
        }
        assert!(consumer.close(Duration::from_secs(20)).await);
        assert_eq!(committed(&cluster, 1), [Some(20_000)]);
    });
}

#[test]
fn nothing_is_committed_for_partitions_that_are_lost() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 2).unwrap();
        write(&cluster, "in", 0..20).await;
        let settings = settings(&cluster, "g")
            .with_session_timeout(Duration::from_secs(6))
            .with_commit_interval(Duration::from_secs(600));
        let mut consumer = Consumer::start(&settings).unwrap();
        let records = read(&mut consumer, 20).await;
        assert_eq!(committed(&cluster, 2), [Some(0), Some(0)], "the start");
        consumer.settle(records.iter().map(|it| it.ticket));
        cluster.request_errors(RequestKind::Heartbeat, &[UNKNOWN_MEMBER_ID]).unwrap();
        until("partitions are lost", || consumer.counts().lost == 2).await;
        // It joins again, and reads again what it had not committed.
        let again = read(&mut consumer, 20).await;
        assert_eq!(committed(&cluster, 2), [Some(0), Some(0)]);
        // A ticket of before is void.
        consumer.settle(records.iter().map(|it| it.ticket));
        consumer.settle(again.iter().filter(|it| it.offset < 5).map(|it| it.ticket));
        assert!(consumer.close(Duration::from_secs(20)).await);
        assert_eq!(committed(&cluster, 2), [Some(5), Some(5)]);
    });
}

/// A static member that has lost its session is taken for an impostor: by its own commit that was still on the way, which
/// librdkafka sends without a member id then.
#[test]
fn a_member_that_has_fenced_itself_joins_anew() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        write(&cluster, "in", 0..20).await;
        let settings = settings(&cluster, "g")
            .with_session_timeout(Duration::from_secs(6))
            .with_instance_id(Some("one".to_owned()));
        let mut consumer = Consumer::start(&settings).unwrap();
        let records = read(&mut consumer, 20).await;
        cluster.request_errors(RequestKind::JoinGroup, &[ErrorCode::FENCED_INSTANCE_ID]).unwrap();
        cluster.request_errors(RequestKind::Heartbeat, &[UNKNOWN_MEMBER_ID]).unwrap();
        let again = read(&mut consumer, 20).await;
        assert_eq!(consumer.counts().lost, 1);
        // Tickets of the client before are void.
        consumer.settle(records.iter().map(|it| it.ticket));
        consumer.settle(again.iter().filter(|it| it.offset < 5).map(|it| it.ticket));
        // Fenced while it is a member: there is another one.
        cluster.request_errors(RequestKind::Heartbeat, &[ErrorCode::FENCED_INSTANCE_ID]).unwrap();
        until("it has failed", || consumer.failure().is_some()).await;
        assert_eq!(
            consumer.failure().unwrap().kind(),
            crate::error::ClientErrorKind::Cluster(ErrorCode::FENCED_INSTANCE_ID)
        );
        assert!(consumer.close(Duration::from_secs(20)).await);
        assert_eq!(committed(&cluster, 1), [Some(5)]);
    });
}

/// A feed in which nothing happens is well again as soon as its brokers are.
#[test]
fn an_idle_consumer_knows_that_the_cluster_is_back() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        write(&cluster, "in", 0..1).await;
        let mut consumer = Consumer::start(&settings(&cluster, "g")).unwrap();
        read(&mut consumer, 1).await;
        let status = || consumer.monitor().connection_state().status();
        until("it is connected", || status() == ConnectionStatus::Connected).await;
        cluster.broker_down(None).unwrap();
        until("the outage is seen", || status() == ConnectionStatus::Failed).await;
        cluster.broker_up(None).unwrap();
        until("it is connected again", || status() == ConnectionStatus::Connected).await;
    });
}

/// A partition that was paused when it was lost is read again when it comes back.
#[test]
fn a_pause_ends_with_its_assignment() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        write(&cluster, "in", 0..3_000).await;
        let bounds = Bounds { records: 1_000, bytes: 32 << 20 };
        let settings = settings(&cluster, "g").with_span(bounds).with_session_timeout(Duration::from_secs(6));
        let mut consumer = Consumer::start(&settings).unwrap();
        read(&mut consumer, 1_000).await;
        let more = tokio::time::timeout(Duration::from_secs(2), consumer.next_batch()).await;
        assert!(more.is_err(), "it has paused");
        cluster.request_errors(RequestKind::Heartbeat, &[UNKNOWN_MEMBER_ID]).unwrap();
        until("partitions are lost", || consumer.counts().lost == 1).await;
        let mut again = 0;
        while again < 3_000 {
            let batch = read(&mut consumer, 1).await;
            again += batch.len();
            consumer.settle(batch.iter().map(|it| it.ticket));
        }
        assert!(consumer.close(Duration::from_secs(20)).await);
        assert_eq!(committed(&cluster, 1), [Some(3_000)]);
    });
}

/// librdkafka fetches nothing while everybody thinks that it does.
#[test]
fn vector_22006_a_partition_that_stalls_is_fetched_anew() {
    stall(GroupProtocol::Classic);
}

#[test]
fn vector_22006_a_partition_that_the_brokers_gave_is_fetched_anew_too() {
    stall(GroupProtocol::Consumer);
}

fn stall(protocol: GroupProtocol) {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 2).unwrap();
        write(&cluster, "in", 0..20).await;
        let settings = settings(&cluster, "g").with_group_protocol(protocol);
        let shared = Arc::new(Shared::default());
        let context =
            assignment::Assignment::new(&settings, Arc::clone(&shared), Partitions::new(settings.span));
        let client: BaseConsumer<_> = settings.properties().to_config().create_with_context(context).unwrap();
        client.subscribe(&["in"]).unwrap();
        let read = |wanted: usize, timeout: Duration| {
            let start = std::time::Instant::now();
            let mut offsets = Vec::new();
            while offsets.len() < wanted && start.elapsed() < timeout {
                let Some(Ok(record)) = client.poll(Duration::from_millis(50)) else { continue };
                let (topic, partition, offset) = (record.topic(), record.partition(), record.offset());
                assert!(lock(&client.context().partitions).track(topic, partition, offset, 1).is_some());
                offsets.push((partition, offset));
            }
            offsets
        };
        assert_eq!(read(20, Duration::from_secs(30)).len(), 20);
        let mut stuck = TopicPartitionList::new();
        stuck.add_partition("in", 0);
        client.pause(&stuck).unwrap();
        write(&cluster, "in", 20..40).await;
        let other = read(10, Duration::from_secs(30));
        assert!(other.iter().all(|(partition, _)| *partition == 1), "{other:?}");

        let mut watchdog = watchdog::Watchdog::new(Duration::ZERO);
        for stalls in [0, 0, 1] {
            watchdog.look(&client, &shared.counters);
            assert_eq!(shared.counters.snapshot().stalls, stalls);
        }
        assert_eq!(read(10, Duration::from_secs(30)), (10..20).map(|offset| (0, offset)).collect::<Vec<_>>());
        watchdog.look(&client, &shared.counters);
        assert_eq!(shared.counters.snapshot().stalls, 1);
    });
}

#[test]
fn closing_has_a_deadline_though_the_cluster_is_gone() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 1).unwrap();
        write(&cluster, "in", 0..10).await;
        let mut consumer = Consumer::start(&settings(&cluster, "g")).unwrap();
        let records = read(&mut consumer, 10).await;
        cluster.broker_down(None).unwrap();
        consumer.settle(records.iter().map(|it| it.ticket));
        let start = std::time::Instant::now();
        // Whether it can end is librdkafka's business; that nobody waits longer is ours.
        let _has_ended = consumer.close(Duration::from_secs(1)).await;
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    });
}

/// In a process of its own, which is this test once more.
#[test]
fn a_consumer_that_is_left_behind_does_not_hold_up_the_end_of_the_process() {
    use std::io::BufRead;
    use std::process::{Command, Stdio};

    const CHILD: &str = "DITTO_KAFKA_TEST_LEAVES_BEHIND";
    const LEFT: &str = "left behind";
    const TEST: &str =
        "consumer::tests::a_consumer_that_is_left_behind_does_not_hold_up_the_end_of_the_process";
    if std::env::var_os(CHILD).is_some() {
        run(async {
            let cluster = EmbeddedCluster::new(1).unwrap();
            cluster.create_topic("in", 1).unwrap();
            write(&cluster, "in", 0..10).await;
            let mut consumer = Consumer::start(&settings(&cluster, "g")).unwrap();
            let records = read(&mut consumer, 10).await;
            cluster.broker_down(None).unwrap();
            consumer.settle(records.iter().map(|it| it.ticket));
            // Its last commit has nobody to go to.
            assert!(!consumer.close(Duration::from_millis(100)).await);
        });
        println!("{LEFT}");
        std::process::exit(0);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", TEST, "--nocapture"]).env(CHILD, "1").stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains(LEFT)), "it ended before");
    let start = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(20) {
            child.kill().unwrap();
            panic!("the process does not end");
        }
        thread::sleep(Duration::from_millis(10));
    }
    assert!(child.wait().unwrap().success());
}

/// The start of a partition was not found out, and another partition has a gap: that must not move the former.
#[test]
fn a_gap_elsewhere_moves_nothing_that_was_not_read_yet() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("in", 2).unwrap();
        write(&cluster, "in", 0..20).await;
        let settings = settings(&cluster, "g");
        let group = crate::group::Group::open(&cluster.settings(), "g").unwrap();
        let positions = group.positions(&["in".to_owned()]).unwrap();
        group.seek(&group.plan(&positions, crate::group::SeekTo::Offset(5)).unwrap()).unwrap();
        drop(group);

        let shared = Arc::new(Shared::default());
        let context =
            assignment::Assignment::new(&settings, Arc::clone(&shared), Partitions::new(settings.span));
        let client: BaseConsumer<_> = settings.properties().to_config().create_with_context(context).unwrap();
        client.subscribe(&["in"]).unwrap();
        let positions = || lock(&client.context().partitions).positions();
        while positions().is_empty() {
            let _none = client.poll(Duration::from_millis(50));
        }
        {
            let mut partitions = lock(&client.context().partitions);
            partitions.assign("in", 0, Some(500));
            partitions.assign("in", 1, None);
        }
        let went_on = truncation::go_on(&client, StartAt::Latest, OnTruncation::Earliest, &shared.counters);
        assert_eq!(went_on, Ok(Ok(())));
        let mut next: Vec<_> = positions().into_iter().map(|it| (it.partition, it.next)).collect();
        next.sort_unstable();
        assert_eq!(next, [(0, Some(0)), (1, Some(5))]);
        assert_eq!(shared.counters.snapshot().gaps, 1);
    });
}
