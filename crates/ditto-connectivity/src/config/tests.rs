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
            c.toml:2: conections is unknown; known here are store, connections, grace, feed, directory, stamp, lanes, dead_letters, producer, http, log
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
            c.toml:1: x is unknown; known here are store, connections, grace, feed, directory, stamp, lanes, dead_letters, producer, http, log"#]],
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
                store: Directory {
                    folder: "/etc/ditto/connections",
                    poll: Some(
                        5s,
                    ),
                },
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
                directory: None,
                stamp: None,
                lanes: LanesConfig {
                    default: Serving {
                        lane: Own,
                        on_hold: Wait,
                        dead_letters: None,
                    },
                    by_connection: {},
                },
                dead_letters: None,
                producer: ProducerConfig {
                    partitioning: RoundRobin,
                    compression: None,
                    linger: 5ms,
                    batch_bytes: 1000000,
                },
                http: None,
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
                store: Directory {
                    folder: "/etc/ditto/c",
                    poll: Some(
                        5s,
                    ),
                },
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
                directory: None,
                stamp: None,
                lanes: LanesConfig {
                    default: Serving {
                        lane: Own,
                        on_hold: Wait,
                        dead_letters: None,
                    },
                    by_connection: {},
                },
                dead_letters: None,
                producer: ProducerConfig {
                    partitioning: RoundRobin,
                    compression: None,
                    linger: 5ms,
                    batch_bytes: 1000000,
                },
                http: None,
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
        c.toml:10: lanes.connection."y".hold is unknown; known here are lane, on_hold, dead_letters"#]]
    .assert_eq(&ConfigErrors { file: "c.toml".into(), errors: errors.unwrap_err() }.to_string());
}

#[test]
fn dead_letters() {
    let config = |tables: &str| {
        let text = format!(
            "connections = \"c\"\n[feed]\nkind = \"kafka\"\nbootstrap_servers = \"feed:9092\"\ntopics = [\"f\"]\nusername = \"u\"\npassword = \"p\"\n{tables}"
        );
        Config::parse(&text, Path::new(""), &|_| None)
    };
    let good = config(
        "[lanes]\ndead_letters = \"{{ connection:id | fn:replace(':','.') }}-dead\"\n[lanes.connection.none]\ndead_letters = \"\"\n\
         [lanes.connection.own]\ndead_letters = \"own-dead\"\n[dead_letters]\ntopic = \"originals\"\n",
    )
    .unwrap();
    let topic =
        |id: &str| good.lanes.of(id).dead_letters.as_ref().map(|topic| topic.of(id, Some(&good.feed)));
    assert_eq!(topic("a:b"), Some(Ok("a.b-dead".to_owned())));
    assert_eq!(topic("none"), None);
    assert_eq!(topic("own"), Some(Ok("own-dead".to_owned())));
    let originals = good.dead_letters.unwrap();
    assert_eq!(
        (originals.topic.as_str(), originals.cluster.bootstrap_servers),
        ("originals", vec!["feed:9092".to_owned()])
    );
    assert!(originals.cluster.security.sasl.is_some(), "the cluster of the feed, with its login");

    let errors = |tables: &str| {
        ConfigErrors { file: "c.toml".into(), errors: config(tables).unwrap_err() }.to_string()
    };
    expect![[r#"
        c.toml:9: lanes.dead_letters is the same for all connections, and would show each what others may read; add {{ connection:id }}
        c.toml:11: lanes.connection."a:b".dead_letters `a:b` is no topic: 1 to 249 of A-Z a-z 0-9 . _ - are allowed; fn:replace takes others away
        c.toml:13: lanes.connection."x".dead_letters `f` is a topic of the feed: letters would be read as signals
        c.toml:15: lanes.connection."y".dead_letters invalid placeholder at byte 3: placeholder `thing:id` is not available in acknowledgement labels and group ids; only {{ connection:id }} may stand here
        c.toml:16: dead_letters.bootstrap_servers is missing; list brokers, or leave login and tls to those of [feed]
        c.toml:17: dead_letters.topic is a topic of the feed: what is kept would be read again"#]]
    .assert_eq(&errors(
        "[lanes]\ndead_letters = \"dead\"\n[lanes.connection.\"a:b\"]\ndead_letters = \"{{ connection:id }}\"\n\
         [lanes.connection.x]\ndead_letters = \"f\"\n[lanes.connection.y]\ndead_letters = \"{{ thing:id }}\"\n\
         [dead_letters]\ntopic = \"f\"\nusername = \"u\"\npassword = \"p\"\n",
    ));
    expect![[r#"c.toml:8: dead_letters.topic is missing; name the topic"#]]
        .assert_eq(&errors("[dead_letters]\nbootstrap_servers = \"other:9092\"\n"));
}

#[test]
fn a_directory() {
    let config = |directory: &str| {
        let text =
            format!("connections = \"c\"\n[feed]\nkind = \"ndjson\"\npath = \"-\"\n[directory]\n{directory}");
        let variables = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
        match Config::parse(&text, Path::new("/etc/ditto"), &variables) {
            Ok(config) => format!("{:#?}\n", config.directory),
            Err(errors) => ConfigErrors { file: "c.toml".into(), errors }.to_string(),
        }
    };
    expect![[r#"
        Some(
            DirectoryConfig {
                source: Http(
                    HttpConfig {
                        url: "https://ditto.example.com/prefix",
                        login: Bearer(
                            SecretBox<str>([REDACTED]),
                        ),
                        ca_pem: None,
                    },
                ),
                policy_age: 10s,
                thing_age: 60s,
                absent_age: 10s,
                max_lag: 10s,
                timeout: 5s,
                concurrency: 32,
                max_bytes: 134217728,
                heeds_events: false,
            },
        )
    "#]]
    .assert_eq(&config(
        "kind = \"http\"\nurl = \"https://ditto.example.com/prefix\"\ntoken = \"${TOKEN}\"\nthing_age = \"1m\"\nevents = \"ignore\"\n",
    ));
    let topics = "kind = \"topics\"\nbootstrap_servers = \"kafka:9092\"\nthings = \"t\"\n";
    assert!(config(&format!("{topics}policies = \"p\"")).contains("policies: \"p\""));
    expect!["c.toml:9: directory.policies is the topic of the things"]
        .assert_eq(&config(&format!("{topics}policies = \"t\"")));
    assert!(config("kind = \"files\"\npath = \"twins\"").contains("folder: \"/etc/ditto/twins\""));
    expect![[r#"c.toml:5: directory.kind is missing; set it to "http", "files" or "topics""#]]
        .assert_eq(&config("url = \"http://ditto\""));
    expect![[r#"
        c.toml:7: directory.url is neither http:// nor https://
        c.toml:8: directory.username has a colon
        c.toml:10: directory.token_file is a second login; keep one of them
        c.toml:11: directory.ca_file `/etc/ditto/nowhere.pem` cannot be read: No such file or directory (os error 2)
        c.toml:12: directory.policy_age is not above timeout: an answer would be too old when it comes
        c.toml:13: directory.thing_age `2h` is no duration: write a number with ms, s or m, such as 30s
        c.toml:14: directory.concurrency is 0, not within 1 and 1024
        c.toml:15: directory.events `believe` is none of trust, ignore
        c.toml:16: directory.path is unknown; known here are kind, url, username, password, token, token_file, pre_authenticated, ca_file, timeout, policy_age, thing_age, absent_age, max_lag, concurrency, max_bytes, events"#]].assert_eq(&config(
        "kind = \"http\"\nurl = \"ftp://ditto\"\nusername = \"a:b\"\ntoken = \"t\"\ntoken_file = \"t\"\nca_file = \"nowhere.pem\"\n\
         policy_age = \"5s\"\nthing_age = \"2h\"\nconcurrency = 0\nevents = \"believe\"\npath = \"x\"\n",
    ));
    expect![[r#"
        c.toml:7: directory.url has credentials; write them as username and password
        c.toml:8: directory.password needs a username beside it"#]]
    .assert_eq(&config("kind = \"http\"\nurl = \"http://me:pw@ditto\"\npassword = \"x\""));
    expect!["c.toml:7: directory.url has more than a path; end it before `?` and `#`"]
        .assert_eq(&config("kind = \"http\"\nurl = \"http://ditto/?x\""));
    expect!["c.toml:8: directory.ca_file has no effect without https://"]
        .assert_eq(&config("kind = \"http\"\nurl = \"http://ditto\"\nca_file = \"/dev/null\""));
    expect!["c.toml:7: directory.url is no url: relative URL without a base"]
        .assert_eq(&config("kind = \"http\"\nurl = \"ditto\""));
}

#[test]
fn connections_are_kept_in_a_file() {
    let feed = "[feed]\nkind = \"ndjson\"\npath = \"-\"\n";
    let read = |store: &str| {
        let text = format!("{store}{feed}");
        Config::parse(&text, Path::new("/etc/ditto"), &|_| None).map(|config| config.store)
    };
    let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let store = read(&format!(
        "[store]\nkind = \"embedded\"\npath = \"s.redb\"\nkey = \"{key}\"\nold_key = \"{key}\"\n"
    ));
    let Ok(StoreConfig::Embedded { path, .. }) = &store else { panic!("{store:?}") };
    assert_eq!(path, Path::new("/etc/ditto/s.redb"));
    assert!(!format!("{store:?}").contains("AAAA"));
    let store = read("connections = \"c\"\n[store]\npoll = \"0s\"\n");
    assert!(matches!(store, Ok(StoreConfig::Directory { poll: None, .. })), "{store:?}");
    check(
        "connections = \"c\"\n[store]\nkind = \"embedded\"\nkey = \"AAAA\"\npoll = \"1s\"\n[feed]\nkind = \"ndjson\"\npath = \"-\"",
        expect![[r#"
            c.toml:1: connections has no effect with store.kind = "embedded": leave it out
            c.toml:2: store.path is missing; name the file that connections are kept in
            c.toml:4: store.key the key is no base64 of 32 bytes; make one with `openssl rand -base64 32`
            c.toml:5: store.poll is unknown; known here are kind, path, key, old_key"#]],
    );
}

#[test]
fn the_api_is_for_loopback_unless_somebody_can_log_in() {
    const REST: &str = "connections = \"c\"\n[feed]\nkind = \"ndjson\"\npath = \"-\"\n[http]\n";
    check(
        &format!("{REST}bind = \"0.0.0.0:8080\"\n"),
        expect![
            "c.toml:5: http.devops_password_hash is missing; without it the API listens on loopback only; make one with `ditto-connectivity hash-password`"
        ],
    );
    check(
        &format!("{REST}bind = \"localhost\"\ndevops_password_hash = \"the password itself\"\ncolour = 1\n"),
        expect![[r#"
            c.toml:6: http.bind is no address with a port, such as 127.0.0.1:8080 or [::]:8080
            c.toml:7: http.devops_password_hash is no argon2 hash in PHC form ($argon2id$…); make one with `ditto-connectivity hash-password`
            c.toml:8: http.colour is unknown; known here are bind, devops_password_hash, status_password_hash, cors, max_connections, instance, jwt"#]],
    );
    let hash = "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";
    check(
        &format!(
            "{REST}status_password_hash = '{hash}'\n[http.jwt]\nissuer = \"i\"\njwks_url = \"ftp://x\"\n"
        ),
        expect![[r#"
            c.toml:6: http.status_password_hash takes more than 256 MiB or 32 passes to check; make one with `ditto-connectivity hash-password`
            c.toml:7: jwt.devops_subjects is missing; list who may manage connections (claim sub)
            c.toml:9: jwt.jwks_url is no http:// or https:// address without credentials"#]],
    );
}
