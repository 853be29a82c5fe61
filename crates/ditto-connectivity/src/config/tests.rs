use ditto_outbound::OnHold;
use expect_test::{Expect, expect};

use super::*;

#[track_caller]
fn check(text: &str, expected: Expect) {
    let variables = |name: &str| (name == "BROKER").then(|| "kafka:9092".to_owned());
    match Config::parse(text, Path::new("/etc/ditto"), &variables) {
        Ok(config) => expected.assert_debug_eq(&config),
        Err(errors) => expected.assert_eq(&ConfigErrors { file: "c.toml".into(), errors }.to_string()),
    }
}

#[test]
fn everything_is_said_at_once_with_its_line() {
    check(
        r#"
conections = "here"
grace = "soon"
[feed]
kind = "kafka"
bootstrap_servers = "${NOWHERE}"
topics = ["a", 5]
internal_headers = "yes"
username = "me"
max_depth = 0
[producer]
partitioning = "random"
linger = 5
[log]
format = "xml"
colour = true
"#,
        expect![[r#"
            c.toml:1: connections is missing; name the folder of the connection definitions
            c.toml:2: conections is unknown; known here are connections, grace, feed, lanes, producer, log
            c.toml:3: grace `soon` is no duration: write a number with ms, s or m, such as 30s
            c.toml:6: feed.bootstrap_servers variable NOWHERE is not set; set it, or write ${NOWHERE:-default}
            c.toml:7: feed.topics is a text: put it in quotes
            c.toml:8: feed.internal_headers `yes` is none of trust, strip
            c.toml:9: feed.username needs a password beside it
            c.toml:10: feed.max_depth is 0, not within 1 and 1000
            c.toml:12: producer.partitioning `random` is none of round-robin, sticky
            c.toml:13: producer.linger is a text: put it in quotes
            c.toml:15: log.format `xml` is none of human, json
            c.toml:16: log.colour is unknown; known here are level, format"#]],
    );
    check(
        "x = [",
        expect![[r#"
            c.toml:1: unclosed array, expected `]`
            c.toml:1: connections is missing; name the folder of the connection definitions
            c.toml:1: feed is missing; say where signals come from, e.g. [feed] kind = "kafka"
            c.toml:1: x is unknown; known here are connections, grace, feed, lanes, producer, log"#]],
    );
    check(
        "",
        expect![[r#"
        c.toml:1: connections is missing; name the folder of the connection definitions
        c.toml:1: feed is missing; say where signals come from, e.g. [feed] kind = "kafka""#]],
    );
}

#[test]
fn a_kafka_feed() {
    check(
        r#"
connections = "connections"
[feed]
kind = "kafka"
bootstrap_servers = "${BROKER}, other:9092,"
topics = ["ditto-feed"]
internal_headers = "trust"
max_message_bytes = "${LIMIT:-2_000_000}"
"#,
        expect![[r#"
            Config {
                connections: "/etc/ditto/connections",
                feed: Kafka(
                    KafkaFeedConfig {
                        cluster: ClusterSettings {
                            bootstrap_servers: [
                                "kafka:9092",
                                "other:9092",
                            ],
                            security: Security {
                                tls: None,
                                sasl: None,
                            },
                        },
                        topics: [
                            "ditto-feed",
                        ],
                        group_id: "ditto-connectivity",
                        start_at: Latest,
                        on_truncation: Fail,
                        instance_id: None,
                        session_timeout: 10s,
                        group_protocol: Classic,
                        acknowledgement_topic: None,
                    },
                ),
                policy: FeedPolicy {
                    internal_headers: Trust,
                    limits: Limits {
                        max_bytes: 2000000,
                        max_depth: 64,
                    },
                },
                lanes: LanesConfig {
                    default: Serving {
                        lane: Own,
                        on_hold: Wait,
                    },
                    by_connection: {},
                },
                producer: ProducerConfig {
                    partitioning: RoundRobin,
                    compression: None,
                    linger: 5ms,
                    batch_bytes: 1000000,
                },
                log: LogConfig {
                    level: "info",
                    format: Human,
                },
                grace: 30s,
            }
        "#]],
    );
}

#[test]
fn an_ndjson_feed() {
    check(
        r#"
connections = "c"
[feed]
kind = "ndjson"
path = "-"
acks = "acks.ndjson"
default_read_subjects = ["integ:demo"]
"#,
        expect![[r#"
            Config {
                connections: "/etc/ditto/c",
                feed: Ndjson {
                    path: "-",
                    acknowledgements: Some(
                        "/etc/ditto/acks.ndjson",
                    ),
                },
                policy: FeedPolicy {
                    internal_headers: Strip {
                        default_read_subjects: [
                            "integ:demo",
                        ],
                    },
                    limits: Limits {
                        max_bytes: 1048576,
                        max_depth: 64,
                    },
                },
                lanes: LanesConfig {
                    default: Serving {
                        lane: Own,
                        on_hold: Wait,
                    },
                    by_connection: {},
                },
                producer: ProducerConfig {
                    partitioning: RoundRobin,
                    compression: None,
                    linger: 5ms,
                    batch_bytes: 1000000,
                },
                log: LogConfig {
                    level: "info",
                    format: Human,
                },
                grace: 30s,
            }
        "#]],
    );
}

#[test]
fn the_session_of_a_consumer_group_is_the_brokers_own() {
    check(
        r#"
connections = "connections"
[feed]
kind = "kafka"
bootstrap_servers = "kafka:9092"
topics = ["ditto-feed"]
session_timeout = "20s"
group_protocol = "consumer"
instance_id = "pod-1"
"#,
        expect![[
            r#"c.toml:7: feed.session_timeout has no effect with group_protocol = "consumer"; set group.consumer.session.timeout.ms at the brokers"#
        ]],
    );
    check(
        r#"
connections = "connections"
[feed]
kind = "kafka"
bootstrap_servers = "kafka:9092"
topics = ["ditto-feed"]
group_protocol = "modern"
"#,
        expect![[r#"c.toml:7: feed.group_protocol `modern` is none of classic, consumer"#]],
    );
}

#[test]
fn lanes_by_connection() {
    let config = |lanes: &str| {
        let text = format!("connections = \"c\"\n[feed]\nkind = \"ndjson\"\npath = \"-\"\n{lanes}");
        Config::parse(&text, Path::new(""), &|_| None)
    };
    let lanes =
        config("[lanes]\non_hold = \"drop\"\n[lanes.connection.\"a:b\"]\nlane = \"shared\"\n").unwrap().lanes;
    let serving = |id| (lanes.of(id).lane, lanes.of(id).on_hold);
    assert_eq!(serving("a:b"), (LaneKind::Shared, OnHold::Drop));
    assert_eq!(serving("other"), (LaneKind::Own, OnHold::Drop));
    let errors = config(
        "[lanes]\nlane = \"mine\"\n[lanes.connection]\nx = 1\n[lanes.connection.y]\nhold = \"drop\"\n",
    );
    expect![[r#"
        c.toml:6: lanes.lane `mine` is none of own, shared
        c.toml:8: connection.x is a table: write [lanes.connection."x"]
        c.toml:10: lanes.connection."y".hold is unknown; known here are lane, on_hold"#]]
    .assert_eq(&ConfigErrors { file: "c.toml".into(), errors: errors.unwrap_err() }.to_string());
}
