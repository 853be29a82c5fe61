use super::*;
use crate::embedded::EmbeddedCluster;
use crate::pool::ProducerPool;
use crate::record::{Record, Token};
use crate::settings::{Bounds, ProducerSettings};

fn position(committed: Option<i64>) -> GroupPosition {
    GroupPosition { topic: "in".into(), partition: 0, committed, low: 10, high: 30 }
}

#[test]
fn lag_is_what_can_still_be_read() {
    for (committed, lag) in
        [(None, 20), (Some(5), 20), (Some(10), 20), (Some(25), 5), (Some(30), 0), (Some(500), 0)]
    {
        assert_eq!(position(committed).lag(), lag, "{committed:?}");
    }
}

#[test]
fn goes_to_either_end_and_to_an_offset() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cluster = EmbeddedCluster::new(1).unwrap();
    cluster.create_topic("in", 2).unwrap();
    runtime.block_on(async {
        let pool = ProducerPool::new();
        let settings = ProducerSettings::new(cluster.settings(), "writer");
        let mut publisher = pool.publisher(&settings, Bounds::default()).unwrap();
        for _ in 0..10 {
            publisher.enqueue(Record::to("in").payload(b"x").partition(1), Token(0)).unwrap();
        }
        assert!(publisher.flush(TIMEOUT).await);
    });
    let group = Group::open(&cluster.settings(), "g").unwrap();
    let topics = ["in".to_owned()];
    let shown = || {
        let positions = group.positions(&topics).unwrap();
        positions.iter().map(|it| (it.partition, it.committed, it.low, it.high)).collect::<Vec<_>>()
    };
    assert_eq!(shown(), [(0, None, 0, 0), (1, None, 0, 10)]);
    let positions = group.positions(&topics).unwrap();
    let moves = |to| {
        let seeks = group.plan(&positions, to).unwrap();
        seeks.iter().map(|it| it.to).collect::<Vec<_>>()
    };
    assert_eq!(moves(SeekTo::Earliest), [0, 0]);
    assert_eq!(moves(SeekTo::Latest), [0, 10]);
    group.seek(&group.plan(&positions[1..], SeekTo::Offset(4)).unwrap()).unwrap();
    assert_eq!(shown(), [(0, None, 0, 0), (1, Some(4), 0, 10)]);
    let error = group.plan(&positions, SeekTo::Offset(11)).unwrap_err();
    assert_eq!(error.kind(), GroupErrorKind::NotThere);
    assert_eq!(error.to_string(), "in[0] has no offset 11; choose one of 0 to 0");
}

#[test]
fn a_cluster_that_is_away_is_told_with_the_reason() {
    let cluster = ClusterSettings::plaintext(["127.0.0.1:1"]);
    let group = Group::open(&cluster, "g").unwrap();
    let error = group.positions(&["in".to_owned()]).unwrap_err();
    assert!(matches!(error.kind(), GroupErrorKind::Cluster(_)));
    let text = error.to_string();
    assert!(text.starts_with("topic `in` not found out: ") && text.contains("Connection refused"), "{text}");
}
