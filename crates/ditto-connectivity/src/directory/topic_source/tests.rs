use ditto_kafka::{Bounds, EmbeddedCluster, ProducerPool, ProducerSettings, Publisher, Record, Token};

use super::*;
use crate::directory::source::Scope;

struct Bench {
    cluster: EmbeddedCluster,
    publisher: Publisher,
    source: TopicSource,
}

impl Bench {
    fn new(max_bytes: usize) -> Self {
        let cluster = EmbeddedCluster::new(1).unwrap();
        for topic in ["things", "policies"] {
            cluster.create_topic(topic, 2).unwrap();
        }
        let settings = ProducerSettings::new(cluster.settings(), "test");
        let publisher = ProducerPool::new().publisher(&settings, Bounds::default()).unwrap();
        let config = TopicsConfig {
            cluster: cluster.settings(),
            things: "things".to_owned(),
            policies: "policies".to_owned(),
            max_bytes,
        };
        Self { source: TopicSource::start(&config).unwrap(), cluster, publisher }
    }

    async fn write(&mut self, topic: &str, id: &str, value: Option<&str>) {
        let record = Record::to(topic).key(id.as_bytes());
        let record = match value {
            Some(value) => record.payload(value.as_bytes()),
            None => record,
        };
        self.publisher.enqueue(record, Token(0)).unwrap();
        let mut completions = Vec::new();
        std::future::poll_fn(|cx| self.publisher.poll_completions(cx, &mut completions)).await;
        assert!(completions.iter().all(|completion| completion.result.is_ok()));
    }

    /// What it says by itself, without what it waits for.
    async fn find(&self, kind: Kind, id: &str) -> String {
        let key = Key { kind, id: id.into() };
        match tokio::time::timeout(Duration::from_secs(30), self.source.look_up(&key, None)).await.unwrap() {
            Finding::Found { value, .. } => value,
            Finding::Unavailable(outage) => {
                assert_eq!(outage.scope, Scope::Source);
                format!("unavailable: {}", outage.why)
            }
            other => format!("{other:?}"),
        }
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

#[test]
fn what_was_written_before_the_question_counts() {
    run(async {
        let mut bench = Bench::new(1 << 20);
        assert_eq!(bench.find(Kind::Policy, "acme:p").await, "Absent");
        for n in 0..20 {
            let thing = format!("{{\"n\":{n}}}");
            bench.write("things", "acme:p", Some(&thing)).await;
            assert_eq!(bench.find(Kind::Thing, "acme:p").await, thing);
            assert_eq!(bench.find(Kind::PolicyOf, "acme:p").await, thing);
        }
        assert_eq!(bench.find(Kind::Policy, "acme:p").await, "Absent");
        bench.write("policies", "acme:p", Some("{}")).await;
        assert_eq!(bench.find(Kind::Policy, "acme:p").await, "{}");
        bench.write("policies", "acme:p", Some("{")).await;
        assert_eq!(bench.find(Kind::Policy, "acme:p").await, "Absent");
        bench.write("things", "acme:p", None).await;
        assert_eq!(bench.find(Kind::Thing, "acme:p").await, "Absent");
        assert_eq!(bench.source.shared.tables().bytes, 0);
    });
}

#[test]
fn what_the_cluster_does_not_confirm_counts_for_nothing() {
    run(async {
        let mut bench = Bench::new(1 << 20);
        bench.write("policies", "acme:p", Some("{}")).await;
        assert_eq!(bench.find(Kind::Policy, "acme:p").await, "{}");
        bench.cluster.broker_down(None).unwrap();
        let found = bench.find(Kind::Policy, "acme:p").await;
        assert!(found.starts_with("unavailable: topics `things` and `policies`: "), "{found}");
        bench.cluster.broker_up(None).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while bench.find(Kind::Policy, "acme:p").await != "{}" {
            assert!(Instant::now() < deadline);
        }
    });
}

#[test]
fn tables_have_a_bound() {
    run(async {
        let mut bench = Bench::new(10);
        bench.write("policies", "acme:p", Some("{}")).await;
        assert_eq!(bench.find(Kind::Policy, "acme:p").await, "{}");
        bench.write("things", "acme:t", Some("{}")).await;
        let found = bench.find(Kind::Policy, "acme:p").await;
        assert_eq!(found, "unavailable: the topics hold 16 bytes, more than table_bytes = 10");
    });
}
