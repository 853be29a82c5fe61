//! The configuration of the service: a TOML file, checked as a whole.

mod dead_letters;
mod directory;
mod http;
mod interpolate;
mod lanes;
mod section;
mod store;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ditto_kafka::{
    ClusterSettings, Compression, GroupProtocol, OnTruncation, Partitioning, Sasl, SaslMechanism, Security,
    StartAt, Tls,
};
use ditto_outbound::{FeedPolicy, InternalHeaders};
use ditto_protocol::Limits;
use secrecy::SecretString;
use toml::de::DeTable;

use crate::telemetry::{self, LogConfig, LogFormat};

pub use self::dead_letters::{LettersTopic, OriginalsConfig};
pub use self::directory::{DirectoryConfig, HttpConfig, HttpLogin, SourceConfig, TopicsConfig};
pub use self::http::{ApiConfig, JwtConfig};
pub use self::interpolate::Variables;
pub use self::lanes::{LaneKind, LanesConfig, Serving};
use self::section::{Document, Section};
pub use self::store::StoreConfig;

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where connections are kept.
    pub store: StoreConfig,
    /// Where signals come from.
    pub feed: FeedConfig,
    /// What a feed's messages may say and how large they may be.
    pub policy: FeedPolicy,
    /// What knows things and policies, if anything does.
    pub directory: Option<DirectoryConfig>,
    /// Where stamped signals go, if they are stamped.
    pub stamp: Option<StampConfig>,
    /// How connections are served.
    pub lanes: LanesConfig,
    /// Where records of the feed go that are no signals or have failed, if they go anywhere.
    pub dead_letters: Option<OriginalsConfig>,
    /// How producers of all connections behave.
    pub producer: ProducerConfig,
    /// The management API, if there is one.
    pub http: Option<ApiConfig>,
    /// What is logged, and how.
    pub log: LogConfig,
    /// How long a stop may take to drain what is in flight.
    pub grace: Duration,
}

/// Where signals come from.
#[derive(Debug, Clone)]
pub enum FeedConfig {
    /// Lines of JSON.
    Ndjson {
        /// What to read; `-` is stdin.
        path: PathBuf,
        /// Where acknowledgements go, as lines; `-` is stdout.
        acknowledgements: Option<PathBuf>,
    },
    /// Topics, read as a member of a group per connection.
    Kafka(Box<KafkaFeedConfig>),
}

/// Where signals go with who may read them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StampConfig {
    /// A topic of the feed's cluster.
    Topic(String),
    /// Lines for another NDJSON feed; `-` is stdout.
    Lines(PathBuf),
}

/// Where signals come from on a cluster.
#[derive(Debug, Clone)]
pub struct KafkaFeedConfig {
    /// The cluster of the feed.
    pub cluster: ClusterSettings,
    /// The topics.
    pub topics: Vec<String>,
    /// What the groups of the lanes start with: `<group_id>.<connection id>`.
    pub group_id: String,
    /// Where a group starts that has committed nothing.
    pub start_at: StartAt,
    /// What to do when records of the feed are gone before they were read.
    pub on_truncation: OnTruncation,
    /// Who this instance is among the members of the groups, also after a restart.
    pub instance_id: Option<String>,
    /// A member that is not heard of for so long has lost its partitions; with the classic protocol.
    pub session_timeout: Duration,
    /// How partitions are shared among the members of a group.
    pub group_protocol: GroupProtocol,
    /// Topic of the same cluster for acknowledgements.
    pub acknowledgement_topic: Option<String>,
}

impl KafkaFeedConfig {
    /// A feed with the defaults of a configuration file.
    #[must_use]
    pub fn new(cluster: ClusterSettings, topics: Vec<String>, group_id: impl Into<String>) -> Self {
        Self {
            cluster,
            topics,
            group_id: group_id.into(),
            start_at: StartAt::Latest,
            on_truncation: OnTruncation::Fail,
            instance_id: None,
            session_timeout: SESSION_TIMEOUT,
            group_protocol: GroupProtocol::Classic,
            acknowledgement_topic: None,
        }
    }
}

/// The reference's (kafka-client.md §2).
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

/// How producers behave.
#[derive(Debug, Clone, Copy)]
pub struct ProducerConfig {
    /// Where records without key and partition go.
    pub partitioning: Partitioning,
    /// How batches are compressed.
    pub compression: Compression,
    /// How long a batch waits for more records.
    pub linger: Duration,
    /// How large a batch gets.
    pub batch_bytes: usize,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            partitioning: Partitioning::RoundRobin,
            compression: Compression::None,
            linger: Duration::from_millis(5),
            batch_bytes: 1_000_000,
        }
    }
}

/// Everything that is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    file: PathBuf,
    errors: Vec<ConfigError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ConfigError {
    /// From 1; none if the file cannot be read.
    line: Option<usize>,
    text: String,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            let line_break = if at > 0 { "\n" } else { "" };
            write!(f, "{line_break}{}:", self.file.display())?;
            if let Some(line) = error.line {
                write!(f, "{line}:")?;
            }
            write!(f, " {}", error.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl Config {
    /// Reads a file. Paths in it are relative to its folder.
    ///
    /// # Errors
    /// All that is wrong with it, with file and line.
    pub fn load(file: &Path) -> Result<Self, ConfigErrors> {
        let failed = |errors| ConfigErrors { file: file.to_owned(), errors };
        let text = std::fs::read_to_string(file).map_err(|error| {
            failed(vec![ConfigError { line: None, text: format!("cannot be read: {error}") }])
        })?;
        Self::parse(&text, file.parent().unwrap_or(Path::new("")), &|name| std::env::var(name).ok())
            .map_err(failed)
    }

    fn parse(text: &str, folder: &Path, variables: Variables<'_>) -> Result<Self, Vec<ConfigError>> {
        let (root, syntax) = DeTable::parse_recoverable(text);
        let document = Document::new(text, variables);
        for error in syntax {
            document.error(error.span().map(|span| span.start), error.message().to_owned());
        }
        let mut root = Section::of_root(&document, root.get_ref());
        // What is stamped needs no other connection.
        let is_needed = !root.has("stamp");
        let store = StoreConfig::read(&mut root, is_needed, folder);
        let grace = root.duration("grace", Duration::from_secs(30));
        let mut feed_section =
            root.section("feed", "say where signals come from, e.g. [feed] kind = \"kafka\"");
        let (feed, policy) = feed(&mut feed_section, folder);
        let mut section = root.optional_section("directory");
        let directory = DirectoryConfig::read(&mut section, folder);
        section.end();
        let is_read_by_all = matches!(
            &policy.internal_headers,
            InternalHeaders::Strip { default_read_subjects } if !default_read_subjects.is_empty()
        );
        if directory.is_some() && is_read_by_all {
            let why = "lets everything be read, and the directory is never asked; keep one of them";
            feed_section.refuse("default_read_subjects", why);
        }
        feed_section.end();
        let mut section = root.optional_section("stamp");
        let stamp = stamping(&mut section, feed.as_ref(), folder);
        section.end();
        let mut section = root.optional_section("lanes");
        let lanes = LanesConfig::read(&mut section, feed.as_ref());
        section.end();
        let mut section = root.optional_section("dead_letters");
        let dead_letters = OriginalsConfig::read(&mut section, feed.as_ref(), folder);
        section.end();
        let mut section = root.optional_section("producer");
        let producer = producer(&mut section);
        section.end();
        let mut section = root.optional_section("http");
        let http = ApiConfig::read(&mut section);
        section.end();
        let mut section = root.optional_section("log");
        let log = log(&mut section);
        section.end();
        root.end();
        match (store, feed, document.into_errors()) {
            (Some(store), Some(feed), errors) if errors.is_empty() => Ok(Self {
                store,
                feed,
                policy,
                directory,
                stamp,
                lanes,
                dead_letters,
                producer,
                http,
                log,
                grace,
            }),
            (_, _, errors) => Err(errors),
        }
    }
}

/// Where stamped signals go: as what the feed is.
fn stamping(section: &mut Section<'_>, feed: Option<&FeedConfig>, folder: &Path) -> Option<StampConfig> {
    let (topic, path) = (section.text("topic"), section.text("path"));
    if !section.is_there() {
        return None;
    }
    match (feed?, topic, path) {
        (FeedConfig::Kafka(feed), Some(topic), None) => {
            if feed.topics.contains(&topic) {
                section.refuse("topic", "is a topic of the feed: what is stamped would be read again");
            }
            Some(StampConfig::Topic(topic))
        }
        (FeedConfig::Kafka(_), ..) => {
            section.missing("topic", "the feed is of kind \"kafka\": name a topic, and no path");
            None
        }
        (FeedConfig::Ndjson { .. }, None, Some(path)) => Some(StampConfig::Lines(place(folder, path))),
        (FeedConfig::Ndjson { .. }, ..) => {
            section.missing("path", "the feed is of kind \"ndjson\": name a file or -, and no topic");
            None
        }
    }
}

/// A path of the configuration; `-` is no file.
fn place(folder: &Path, path: String) -> PathBuf {
    if path == "-" { PathBuf::from(path) } else { folder.join(path) }
}

/// Longest time that a batch may wait.
const MAX_LINGER: Duration = Duration::from_secs(5);

fn log(section: &mut Section<'_>) -> LogConfig {
    let default = LogConfig::default();
    let level = section.text("level").unwrap_or(default.level);
    if let Err(why) = telemetry::filter(&level) {
        section.refuse("level", &format!("`{level}` is no level and no filter: {why}"));
    }
    let formats = [("human", LogFormat::Human), ("json", LogFormat::Json)];
    LogConfig { level, format: section.choice("format", &formats).unwrap_or(default.format) }
}

fn producer(section: &mut Section<'_>) -> ProducerConfig {
    let default = ProducerConfig::default();
    let compressions = [
        ("none", Compression::None),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ];
    let partitionings = [("round-robin", Partitioning::RoundRobin), ("sticky", Partitioning::Sticky)];
    let linger = section.duration("linger", default.linger);
    if linger > MAX_LINGER {
        section.refuse("linger", "is above 5s, half the time that a signal of an NDJSON feed has");
    }
    ProducerConfig {
        partitioning: section.choice("partitioning", &partitionings).unwrap_or(default.partitioning),
        compression: section.choice("compression", &compressions).unwrap_or(default.compression),
        linger,
        batch_bytes: section.number("batch_bytes", 1..=1_000_000).unwrap_or(default.batch_bytes),
    }
}

fn feed(section: &mut Section<'_>, folder: &Path) -> (Option<FeedConfig>, FeedPolicy) {
    let policy = policy(section);
    let Some(kind) = section.choice("kind", &[("ndjson", false), ("kafka", true)]) else {
        if section.is_there() && !section.has("kind") {
            section.missing("kind", "set it to \"ndjson\" or \"kafka\"");
        }
        section.ignore_rest();
        return (None, policy);
    };
    let place = |path| place(folder, path);
    if !kind {
        let path = section.required_text("path", "name the file, or - for stdin").map(place);
        let acknowledgements = section.text("acks").map(place);
        return (path.map(|path| FeedConfig::Ndjson { path, acknowledgements }), policy);
    }
    let bootstrap_servers = section.required_text("bootstrap_servers", "list brokers as host:port");
    let topics = section.list("topics");
    match &topics {
        Some(topics) if topics.is_empty() => section.refuse("topics", "is empty; list the topics to read"),
        None if !section.has("topics") => section.missing("topics", "list the topics to read"),
        _ => {}
    }
    let group_id = section.text("group_id").unwrap_or_else(|| "ditto-connectivity".to_owned());
    let start_at = section
        .choice("start_at", &[("latest", StartAt::Latest), ("earliest", StartAt::Earliest)])
        .unwrap_or(StartAt::Latest);
    let on_truncation = section
        .choice(
            "on_truncation",
            &[
                ("fail", OnTruncation::Fail),
                ("earliest", OnTruncation::Earliest),
                ("latest", OnTruncation::Latest),
            ],
        )
        .unwrap_or(OnTruncation::Fail);
    let acknowledgement_topic = section.text("acks_topic");
    let instance_id = section.text("instance_id");
    let session_timeout = section.duration("session_timeout", SESSION_TIMEOUT);
    if !(Duration::from_secs(1)..=Duration::from_secs(300)).contains(&session_timeout) {
        section.refuse("session_timeout", "is not within 1s and 5m");
    }
    let group_protocol = section
        .choice(
            "group_protocol",
            &[("classic", GroupProtocol::Classic), ("consumer", GroupProtocol::Consumer)],
        )
        .unwrap_or(GroupProtocol::Classic);
    if group_protocol == GroupProtocol::Consumer && section.has("session_timeout") {
        section.refuse(
            "session_timeout",
            "has no effect with group_protocol = \"consumer\"; set group.consumer.session.timeout.ms at the brokers",
        );
    }
    let security = security(section, folder);
    let bootstrap_servers = bootstrap_servers.map(|servers| self::servers(section, &servers));
    let feed = bootstrap_servers.zip(topics).map(|(bootstrap_servers, topics)| {
        FeedConfig::Kafka(Box::new(KafkaFeedConfig {
            cluster: ClusterSettings { bootstrap_servers, security },
            topics,
            group_id,
            start_at,
            on_truncation,
            instance_id,
            session_timeout,
            group_protocol,
            acknowledgement_topic,
        }))
    });
    (feed, policy)
}

fn servers(section: &Section<'_>, text: &str) -> Vec<String> {
    let servers: Vec<String> =
        text.split([',', ' ']).filter(|server| !server.is_empty()).map(str::to_owned).collect();
    if servers.is_empty() {
        section.refuse("bootstrap_servers", "names no broker; list brokers as host:port");
    }
    servers
}

fn policy(section: &mut Section<'_>) -> FeedPolicy {
    let trusts = section.choice("internal_headers", &[("trust", true), ("strip", false)]).unwrap_or(false);
    let default_read_subjects = section.list("default_read_subjects");
    if trusts && default_read_subjects.is_some() {
        section.refuse(
            "default_read_subjects",
            "has no effect with internal_headers = \"trust\"; the feed says who may read",
        );
    }
    let default = Limits::default();
    let limits = Limits::new(
        section.number("max_message_bytes", 1..=64 << 20).unwrap_or(default.max_bytes),
        section.number("max_depth", 1..=1_000).unwrap_or(default.max_depth),
    );
    let internal_headers = if trusts {
        InternalHeaders::Trust
    } else {
        InternalHeaders::Strip { default_read_subjects: default_read_subjects.unwrap_or_default() }
    };
    FeedPolicy { internal_headers, limits }
}

fn security(section: &mut Section<'_>, folder: &Path) -> Security {
    let username = section.text("username");
    let password = section.text("password").map(SecretString::from);
    let mechanisms = [
        ("plain", SaslMechanism::Plain),
        ("scram-sha-256", SaslMechanism::ScramSha256),
        ("scram-sha-512", SaslMechanism::ScramSha512),
    ];
    let mechanism = section.choice("sasl_mechanism", &mechanisms).unwrap_or(SaslMechanism::Plain);
    let sasl = match (username, password) {
        (Some(username), Some(password)) => Some(Sasl { mechanism, username, password }),
        (None, None) => {
            if section.has("sasl_mechanism") {
                section.refuse("sasl_mechanism", "has no effect without username and password");
            }
            None
        }
        (Some(_), None) => {
            section.refuse("username", "needs a password beside it");
            None
        }
        (None, Some(_)) => {
            section.refuse("password", "needs a username beside it");
            None
        }
    };
    let uses_tls = section.boolean("tls").unwrap_or(false);
    let ca_pem = section.text("ca_file").and_then(|path| {
        let path = folder.join(path);
        let pem = std::fs::read_to_string(&path);
        pem.map_err(|error| {
            section.refuse("ca_file", &format!("`{}` cannot be read: {error}", path.display()))
        })
        .ok()
    });
    if ca_pem.is_some() && !uses_tls {
        section.refuse("ca_file", "has no effect without tls = true");
    }
    Security { tls: uses_tls.then(|| Tls { ca_pem, client_certificate: None }), sasl }
}

#[cfg(test)]
mod tests;
