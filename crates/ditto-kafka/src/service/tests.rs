use std::time::Duration;

use tower::ServiceExt;

use super::*;
use crate::settings::{Bounds, ProducerSettings};
use crate::{EmbeddedCluster, ProducerPool};

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn service(cluster: &EmbeddedCluster, pool: &ProducerPool) -> PublishService {
    let settings = ProducerSettings::new(cluster.settings(), "test");
    PublishService::new(pool.publisher(&settings, Bounds::default()).unwrap())
}

#[test]
fn calls_keep_their_order_and_dropped_futures_lose_nothing() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("t", 1).unwrap();
        let pool = ProducerPool::new();
        let mut service = service(&cluster, &pool);
        let mut waiting = Vec::new();
        for n in 0..50 {
            let record = OwnedRecord::to("t").payload(n.to_string());
            let future = service.ready().await.unwrap().call(record);
            // Every other one is not waited for.
            if n % 2 == 0 {
                waiting.push((n, future));
            }
        }
        drop(service);
        for (n, future) in waiting {
            assert_eq!(future.await.unwrap().offset, Some(n));
        }
        let numbers: Vec<_> =
            cluster.read_back("t").unwrap().into_iter().map(|it| it.record.payload.unwrap()).collect();
        assert_eq!(numbers, (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!(pool.closed(Duration::from_secs(20)).await, 0);
    });
}

#[test]
fn a_refusal_is_the_answer_of_its_call() {
    run(async {
        let cluster = EmbeddedCluster::new(1).unwrap();
        cluster.create_topic("t", 1).unwrap();
        let pool = ProducerPool::new();
        let mut service = service(&cluster, &pool);
        let refused = service.ready().await.unwrap().call(OwnedRecord::to("t").partition(-3)).await;
        assert_eq!(refused.unwrap_err().code(), ErrorCode::UNKNOWN_PARTITION);
        assert!(service.ready().await.unwrap().call(OwnedRecord::to("t")).await.is_ok());
    });
}
