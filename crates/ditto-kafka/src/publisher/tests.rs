use std::future::poll_fn;
use std::time::Instant;

use expect_test::expect;

use crate::{
    Completion, ConnectionStatus, EmbeddedCluster, ErrorCode, OwnedRecord, ProducerPool, ProducerSettings,
    RequestKind, Scope,
};

use super::*;

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn cluster(topics: &[&str]) -> (EmbeddedCluster, ProducerSettings) {
    let cluster = EmbeddedCluster::new(1).unwrap();
    topics.iter().for_each(|topic| cluster.create_topic(topic, 1).unwrap());
    let settings = ProducerSettings::new(cluster.settings(), "test");
    (cluster, settings)
}

fn enqueue(publisher: &mut Publisher, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let text = n.to_string();
        let record = Record::to("t").key(b"k").payload(text.as_bytes()).headers([("h", &b"v"[..])]);
        publisher.enqueue(record, Token(n)).unwrap();
    }
}

async fn completions(publisher: &mut Publisher, wanted: usize) -> Vec<Completion> {
    let mut completions = Vec::new();
    let all = poll_fn(|cx| {
        let _any = publisher.poll_completions(cx, &mut completions);
        if completions.len() < wanted { Poll::Pending } else { Poll::Ready(()) }
    });
    let ended = tokio::time::timeout(Duration::from_secs(20), all).await;
    assert!(ended.is_ok(), "{} of {wanted} reports came: {completions:?}", completions.len());
    completions
}

/// Whatever could not be sent comes back whole, to all publishers of the client, and the next client sends it.
#[test]
fn a_condemned_client_gives_everything_back() {
    run(async {
        let (cluster, settings) = cluster(&["t"]);
        let pool = ProducerPool::new();
        let [mut leaving, mut staying] =
            [(); 2].map(|()| pool.publisher(&settings, Bounds::default()).unwrap());
        enqueue(&mut staying, 0..1);
        assert!(completions(&mut staying, 1).await[0].result.is_ok());
        cluster.broker_down(None).unwrap();
        enqueue(&mut leaving, 0..3);
        enqueue(&mut staying, 1..4);
        leaving.condemn();
        drop(leaving);
        let mut back = completions(&mut staying, 3).await;
        // librdkafka purges queue by queue: who enqueues them again has to keep the order.
        back.sort_by_key(|completion| completion.token);
        let refused = staying.enqueue(Record::to("t"), Token(9)).unwrap_err();
        assert_eq!((refused.code(), refused.scope()), (ErrorCode::FATAL, Scope::Producer));
        let mut next = pool.publisher(&settings, Bounds::default()).unwrap();
        for (n, completion) in (1..).zip(back) {
            let error = completion.result.unwrap_err();
            assert_eq!((completion.token, error.scope()), (Token(n), Scope::Producer), "{error}");
            let record = completion.record.unwrap();
            let expected = OwnedRecord::to("t").key("k").payload(n.to_string()).header("h", "v");
            assert_eq!(*record, expected);
            enqueue(&mut next, n..n + 1);
        }
        cluster.broker_up(None).unwrap();
        completions(&mut next, 3).await;
        drop((staying, next));
        assert_eq!(pool.closed(Duration::from_secs(10)).await, 0);
        let stored = cluster.read_back("t").unwrap();
        let stored: Vec<_> = stored.iter().map(|it| it.record.payload.clone().unwrap()).collect();
        assert_eq!(stored, ["0", "1", "2", "3"], "nothing of the one that left");
    });
}

/// An error of the producer's own state fails no record for good: each comes back, as an error of that scope.
#[test]
fn errors_of_the_producer_give_everything_back() {
    run(async {
        for code in [45, 47] {
            let (cluster, settings) = cluster(&["t"]);
            let pool = ProducerPool::new();
            let mut publisher = pool.publisher(&settings, Bounds::default()).unwrap();
            enqueue(&mut publisher, 0..1);
            assert!(completions(&mut publisher, 1).await[0].result.is_ok());
            cluster.request_errors(RequestKind::Produce, &[ErrorCode::from_number(code)]).unwrap();
            enqueue(&mut publisher, 1..4);
            for completion in completions(&mut publisher, 3).await {
                let error = completion.result.unwrap_err();
                assert_eq!((error.scope(), completion.record.is_some()), (Scope::Producer, true), "{error}");
            }
        }
    });
}

/// librdkafka itself gives up the client: nothing is sent, everything comes back, and the pool makes another one.
#[test]
fn a_fatal_error_condemns_the_client() {
    run(async {
        let (cluster, settings) = cluster(&["t"]);
        cluster
            .request_errors(RequestKind::InitProducerId, &[ErrorCode::CLUSTER_AUTHORIZATION_FAILED])
            .unwrap();
        let pool = ProducerPool::new();
        let mut publisher = pool.publisher(&settings, Bounds::default()).unwrap();
        enqueue(&mut publisher, 0..3);
        for completion in completions(&mut publisher, 3).await {
            let error = completion.result.unwrap_err();
            assert_eq!((error.scope(), completion.record.is_some()), (Scope::Producer, true), "{error}");
        }
        assert!(publisher.is_condemned(), "known before the reports are");
        // It can still ask the cluster, which says nothing of what it is for.
        let status = || publisher.connection_state().status();
        assert_eq!(status(), ConnectionStatus::Misconfigured);
        pool.probe(&settings.fingerprint(), Some("t"), Duration::from_secs(5)).await.unwrap();
        assert_eq!(status(), ConnectionStatus::Misconfigured);
        let mut next = pool.publisher(&settings, Bounds::default()).unwrap();
        enqueue(&mut next, 0..3);
        assert!(completions(&mut next, 3).await.iter().all(|it| it.result.is_ok()));
        assert_eq!(cluster.read_back("t").unwrap().len(), 3);
    });
}

/// A topic that is made later takes what comes later: nobody has to start anything anew.
#[test]
fn an_unknown_topic_is_known_when_it_is_there() {
    run(async {
        let (cluster, settings) = cluster(&["other"]);
        cluster.create_topic("t", 1).unwrap();
        cluster.topic_error("t", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION).unwrap();
        let pool = ProducerPool::new();
        let mut publisher = pool.publisher(&settings, Bounds::default()).unwrap();
        enqueue(&mut publisher, 0..1);
        let failed = completions(&mut publisher, 1).await.remove(0).result.unwrap_err();
        assert_eq!((failed.code(), failed.scope()), (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, Scope::Target));
        // From now on it is known not to exist.
        let refused = publisher.enqueue(Record::to("t"), Token(1)).unwrap_err();
        assert_eq!((refused.code().name(), refused.scope()), ("_UNKNOWN_TOPIC", Scope::Target));
        cluster.topic_error("t", ErrorCode::from_number(0)).unwrap();
        let start = Instant::now();
        while publisher.enqueue(Record::to("t"), Token(2)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "it is there, and not found");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(completions(&mut publisher, 1).await.remove(0).result.is_ok());
    });
}

/// reliability.md §3, row 6: what librdkafka makes of each error of a broker. What it tries again nobody hears of; the rest
/// is reported with the broker's code.
#[test]
fn each_error_of_a_broker_is_tried_again_or_told() {
    run(async {
        let (cluster, settings) = cluster(&["t"]);
        let (mut retried, mut told_otherwise) = (Vec::new(), Vec::new());
        for code in ErrorCode::all().filter(|code| code.number() > 0) {
            // A client of its own: some errors end it.
            let pool = ProducerPool::new();
            let mut publisher = pool.publisher(&settings, Bounds::default()).unwrap();
            if cluster.request_errors(RequestKind::Produce, &[code]).is_err() {
                // The library does not know it, so no broker's answer becomes it.
                continue;
            }
            enqueue(&mut publisher, 0..1);
            let completion = completions(&mut publisher, 1).await.remove(0);
            match completion.result {
                Ok(_) => retried.push(code.number()),
                Err(error) => {
                    assert!(completion.record.is_some());
                    if error.code() != code {
                        told_otherwise.push((code.number(), error.code().number()));
                    }
                }
            }
        }
        expect![[r#"
            tried again: [2, 3, 5, 6, 7, 8, 9, 14, 15, 16, 19, 20, 46, 56, 59]
            told otherwise: []
        "#]]
        .assert_eq(&format!("tried again: {retried:?}\ntold otherwise: {told_otherwise:?}\n"));
    });
}

/// reliability.md §3, row 3: a partition that moves to another broker while records flow loses none and keeps their order.
#[test]
fn a_leader_that_changes_is_followed() {
    run(async {
        let cluster = EmbeddedCluster::new(2).unwrap();
        cluster.create_topic("t", 1).unwrap();
        let pool = ProducerPool::new();
        let settings = ProducerSettings::new(cluster.settings(), "test");
        let mut publisher = pool.publisher(&settings, Bounds::default()).unwrap();
        for round in 0..6 {
            cluster.partition_leader("t", 0, Some(1 + round % 2)).unwrap();
            let first = u64::try_from(round).unwrap() * 200;
            for n in first..first + 200 {
                enqueue(&mut publisher, n..n + 1);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        let all = completions(&mut publisher, 1_200).await;
        assert!(all.iter().all(|completion| completion.result.is_ok()), "{all:?}");
        let stored = cluster.read_back("t").unwrap();
        let numbers: Vec<u64> = stored
            .iter()
            .map(|it| std::str::from_utf8(it.record.payload.as_deref().unwrap()).unwrap().parse().unwrap())
            .collect();
        assert_eq!(numbers, (0..1_200).collect::<Vec<_>>());
    });
}
