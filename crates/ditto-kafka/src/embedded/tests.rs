use std::collections::BTreeMap;
use std::future::poll_fn;
use std::time::Duration;

use crate::settings::{Bounds, Delivery, MAX_RECORD_BYTES, ProducerSettings};
use crate::{
    Completion, ConnectionStatus, ErrorCode, ProducerPool, Publisher, Record, Scope, Token, partition_of_key,
};

use super::*;

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn cluster(topic: &str, partitions: u16) -> EmbeddedCluster {
    let cluster = EmbeddedCluster::new(1).unwrap();
    cluster.create_topic(topic, partitions).unwrap();
    cluster
}

fn settings(cluster: &EmbeddedCluster) -> ProducerSettings {
    ProducerSettings::new(cluster.settings(), "test")
}

async fn completions(publisher: &mut Publisher, wanted: usize) -> Vec<Completion> {
    let mut completions = Vec::new();
    let all = poll_fn(|cx| {
        let _any = publisher.poll_completions(cx, &mut completions);
        if completions.len() < wanted { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    });
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("reports come");
    completions
}

#[test]
fn what_is_published_is_read_back() {
    run(async {
        let cluster = cluster("t", 3);
        let pool = ProducerPool::new();
        let mut publisher = pool.publisher(&settings(&cluster), Bounds::default()).unwrap();
        let keys = ["org.eclipse.ditto:fleet-1", "ключ", "k"];
        for (n, key) in keys.iter().enumerate() {
            let record = Record::to("t")
                .key(key.as_bytes())
                .payload(b"{}")
                .headers([("a", &b"1"[..]), ("a", &b""[..])]);
            publisher.enqueue(record, Token(n as u64)).unwrap();
        }
        publisher.enqueue(Record::to("t").partition(2), Token(9)).unwrap();
        let completions = completions(&mut publisher, 4).await;
        let stored = cluster.read_back("t").unwrap();
        assert_eq!(stored.len(), 4);
        for completion in completions {
            let delivered = completion.result.unwrap();
            let found = stored
                .iter()
                .find(|it| {
                    it.record.partition == Some(delivered.partition) && Some(it.offset) == delivered.offset
                })
                .unwrap();
            let Some(key) = usize::try_from(completion.token.0).ok().and_then(|n| keys.get(n)) else {
                assert_eq!(
                    (delivered.partition, &found.record.payload, &found.record.key),
                    (2, &None, &None)
                );
                continue;
            };
            assert_eq!(delivered.partition, partition_of_key(key.as_bytes(), 3));
            assert_eq!(found.record.key.as_deref(), Some(key.as_bytes()));
            assert_eq!(found.record.payload.as_deref(), Some(&b"{}"[..]));
            assert_eq!(found.record.headers, [("a".to_owned(), "1".into()), ("a".to_owned(), "".into())]);
        }
    });
}

#[test]
fn records_without_key_take_turns_over_all_publishers_of_a_client() {
    run(async {
        for partitions in [3, 7] {
            let cluster = cluster("t", partitions);
            let pool = ProducerPool::new();
            let mut publishers =
                [(); 2].map(|()| pool.publisher(&settings(&cluster), Bounds::default()).unwrap());
            assert_eq!(pool.clients(), 1);
            for n in 0..u64::from(partitions) * 20 {
                let publisher = &mut publishers[(n % 2) as usize];
                publisher.enqueue(Record::to("t").payload(n.to_string().as_bytes()), Token(n)).unwrap();
            }
            let each = usize::from(partitions) * 10;
            for publisher in &mut publishers {
                completions(publisher, each).await;
            }
            let mut by_partition: BTreeMap<i32, Vec<u64>> = BTreeMap::new();
            for it in cluster.read_back("t").unwrap() {
                let n = std::str::from_utf8(&it.record.payload.unwrap()).unwrap().parse().unwrap();
                by_partition.entry(it.record.partition.unwrap()).or_default().push(n);
            }
            for (partition, numbers) in by_partition {
                let expected: Vec<u64> =
                    (0..20).map(|turn| turn * u64::from(partitions) + partition as u64).collect();
                assert_eq!(numbers, expected, "every n-th record, in order");
            }
        }
    });
}

#[test]
fn a_record_that_cannot_be_published_costs_no_permit() {
    run(async {
        let cluster = cluster("t", 1);
        let pool = ProducerPool::new();
        let bounds = Bounds { records: 1, bytes: 2 * MAX_RECORD_BYTES };
        let mut publisher = pool.publisher(&settings(&cluster), bounds).unwrap();
        for _ in 0..3 {
            let error = publisher.enqueue(Record::to("t").partition(-1), Token(0)).unwrap_err();
            assert_eq!((error.code(), error.scope()), (ErrorCode::UNKNOWN_PARTITION, Scope::Record));
            let huge = vec![0; MAX_RECORD_BYTES + 1];
            let error = publisher.enqueue(Record::to("t").payload(&huge), Token(0)).unwrap_err();
            assert_eq!(error.scope(), Scope::Record, "{error}");
            let error = publisher.enqueue(Record::to("a\0b"), Token(0)).unwrap_err();
            assert!(!error.is_retriable(), "{error}");
        }
        assert_eq!((publisher.in_flight(), publisher.bytes_in_flight()), (0, 0));
        publisher.enqueue(Record::to("t").payload(b"x"), Token(0)).unwrap();
        // The one permit is taken, and comes back with the completion.
        assert!(poll_fn(|cx| std::task::Poll::Ready(publisher.poll_ready(cx, 1).is_pending())).await);
        completions(&mut publisher, 1).await;
        assert!(poll_fn(|cx| std::task::Poll::Ready(publisher.poll_ready(cx, 1).is_ready())).await);
        assert_eq!(pool.counts(), crate::PoolCounts::default());
    });
}

#[test]
fn a_partition_that_does_not_exist_fails_its_record_alone() {
    run(async {
        let cluster = cluster("t", 2);
        let pool = ProducerPool::new();
        let mut publisher = pool.publisher(&settings(&cluster), Bounds::default()).unwrap();
        // With the first one the client learns what partitions there are.
        publisher.enqueue(Record::to("t").partition(1).payload(b"y"), Token(1)).unwrap();
        assert_eq!(completions(&mut publisher, 1).await.remove(0).result.unwrap().partition, 1);
        let error = publisher.enqueue(Record::to("t").partition(9).payload(b"x"), Token(2)).unwrap_err();
        assert_eq!(
            (error.code(), error.scope(), error.is_retriable()),
            (ErrorCode::UNKNOWN_PARTITION, Scope::Record, false)
        );
    });
}

#[test]
fn brokers_that_are_away_fail_best_effort_records_and_are_used_again() {
    run(async {
        let cluster = cluster("t", 1);
        let pool = ProducerPool::new();
        let delivery = Delivery::BestEffort { timeout: Duration::from_millis(1_500) };
        let mut publisher =
            pool.publisher(&settings(&cluster).with_delivery(delivery), Bounds::default()).unwrap();
        publisher.enqueue(Record::to("t").payload(b"1"), Token(1)).unwrap();
        assert!(completions(&mut publisher, 1).await[0].result.is_ok());
        cluster.broker_down(None).unwrap();
        publisher.enqueue(Record::to("t").payload(b"2"), Token(2)).unwrap();
        let error = completions(&mut publisher, 1).await.remove(0).result.unwrap_err();
        assert_eq!((error.code(), error.scope()), (ErrorCode::MSG_TIMED_OUT, Scope::Connection));
        assert!(error.is_retriable(), "{error}");
        assert_eq!(publisher.connection_state().status(), ConnectionStatus::Failed);
        cluster.broker_up(None).unwrap();
        // Reconnecting takes its time, so the first ones may still be late.
        let mut result = Err(error);
        for n in 3..20 {
            publisher.enqueue(Record::to("t").payload(b"3"), Token(n)).unwrap();
            result = completions(&mut publisher, 1).await.remove(0).result;
            if result.is_ok() {
                break;
            }
        }
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(publisher.connection_state().status(), ConnectionStatus::Connected);
    });
}

#[test]
fn broker_errors_are_retried_or_told() {
    run(async {
        let cluster = cluster("t", 1);
        let pool = ProducerPool::new();
        let mut publisher = pool.publisher(&settings(&cluster), Bounds::default()).unwrap();
        cluster
            .request_errors(RequestKind::Produce, &[ErrorCode::from_number(19), ErrorCode::from_number(6)])
            .unwrap();
        publisher.enqueue(Record::to("t").payload(b"retried"), Token(1)).unwrap();
        assert!(completions(&mut publisher, 1).await[0].result.is_ok());
        cluster.request_errors(RequestKind::Produce, &[ErrorCode::from_number(29)]).unwrap();
        publisher.enqueue(Record::to("t").payload(b"refused"), Token(2)).unwrap();
        let error = completions(&mut publisher, 1).await.remove(0).result.unwrap_err();
        assert_eq!((error.code().number(), error.scope(), error.is_retriable()), (29, Scope::Target, false));
        assert_eq!(cluster.read_back("t").unwrap().len(), 1);
    });
}
