//! What knows things and policies: the table `[directory]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ditto_kafka::ClusterSettings;
use reqwest::Url;
use secrecy::SecretString;

use super::section::Section;
use super::{security, servers};
use crate::directory::Memory;

/// What knows things and policies.
#[derive(Debug, Clone)]
pub struct DirectoryConfig {
    /// Where it looks them up.
    pub source: SourceConfig,
    /// For how long a policy counts, from when it was asked for.
    pub policy_age: Duration,
    /// For how long it counts which policy a thing has, and the state of a thing for signals without a revision.
    pub thing_age: Duration,
    /// For how long it counts that something is not there.
    pub absent_age: Duration,
    /// For how long a source may know less than an event has told.
    pub max_lag: Duration,
    /// How long one look-up may take.
    pub timeout: Duration,
    /// Look-ups at a time.
    pub concurrency: usize,
    /// Bytes that are kept, nearly.
    pub max_bytes: usize,
    /// Whether an event of the feed makes it ask again.
    pub heeds_events: bool,
}

/// Where a directory looks things up.
#[derive(Debug, Clone)]
pub enum SourceConfig {
    /// Ditto's HTTP API.
    Http(HttpConfig),
    /// A folder with `things/<id>.json` and `policies/<id>.json`.
    Files {
        /// The folder.
        folder: PathBuf,
    },
    /// Compacted topics.
    Topics(TopicsConfig),
    /// Memory, for tests; no configuration leads here.
    Memory(Memory),
}

/// Compacted topics: the key is the id, the value the JSON as Ditto's HTTP API has it.
#[derive(Debug, Clone)]
pub struct TopicsConfig {
    /// Their cluster.
    pub cluster: ClusterSettings,
    /// The topic of the things.
    pub things: String,
    /// The topic of the policies.
    pub policies: String,
    /// Bytes that they may hold.
    pub max_bytes: usize,
}

/// How Ditto's HTTP API is reached.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// The address, up to `/api/2`.
    pub url: String,
    /// Who asks.
    pub login: HttpLogin,
    /// The only authorities to trust, instead of the system's.
    pub ca_pem: Option<String>,
}

/// Who asks Ditto's HTTP API.
#[derive(Debug, Clone)]
pub enum HttpLogin {
    /// Nobody in particular.
    None,
    /// A user with a password.
    #[expect(missing_docs, reason = "the names say it")]
    Basic { username: String, password: SecretString },
    /// Whoever the token is of.
    Bearer(SecretString),
    /// The same, with a file that is read for each look-up, since such tokens end.
    BearerFile(PathBuf),
    /// A subject, which Ditto takes at its word (`x-ditto-pre-authenticated`).
    PreAuthenticated(String),
}

impl DirectoryConfig {
    /// With the defaults of a configuration file.
    #[must_use]
    pub fn new(source: SourceConfig) -> Self {
        Self {
            source,
            policy_age: Duration::from_secs(10),
            thing_age: Duration::from_secs(10),
            absent_age: Duration::from_secs(10),
            max_lag: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            concurrency: 32,
            max_bytes: 128 << 20,
            heeds_events: true,
        }
    }

    /// None if there is no such table, or it is wrong.
    pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> Option<Self> {
        if !section.is_there() {
            return None;
        }
        let kinds = [("http", "http"), ("files", "files"), ("topics", "topics")];
        let source = match section.choice("kind", &kinds) {
            Some("http") => http(section, folder).map(SourceConfig::Http),
            Some("topics") => topics(section, folder).map(SourceConfig::Topics),
            Some(_) => {
                let path = section.required_text("path", "name the folder of things and policies");
                path.map(|path| SourceConfig::Files { folder: folder.join(path) })
            }
            None => {
                if !section.has("kind") {
                    section.missing("kind", "set it to \"http\", \"files\" or \"topics\"");
                }
                section.ignore_rest();
                return None;
            }
        };
        // The defaults do not depend on the source.
        let default = Self::new(SourceConfig::Files { folder: PathBuf::new() });
        let mut bounded = |name, default, least: Duration, most: Duration| {
            let duration = section.duration(name, default);
            if !(least..=most).contains(&duration) {
                section.refuse(name, &format!("is not within {least:?} and {most:?}"));
            }
            duration
        };
        let (millis, hour) = (Duration::from_millis(100), Duration::from_secs(3_600));
        let timeout = bounded("timeout", default.timeout, millis, Duration::from_secs(60));
        let policy_age = bounded("policy_age", default.policy_age, millis, hour);
        let thing_age = bounded("thing_age", default.thing_age, millis, hour);
        let absent_age = bounded("absent_age", default.absent_age, millis, hour);
        let max_lag = bounded("max_lag", default.max_lag, Duration::ZERO, hour);
        for (name, age) in [("policy_age", policy_age), ("thing_age", thing_age), ("absent_age", absent_age)]
        {
            if timeout >= age {
                section.refuse(name, "is not above timeout: an answer would be too old when it comes");
            }
        }
        let concurrency = section.number("concurrency", 1..=1_024).unwrap_or(default.concurrency);
        let max_bytes = section.number("max_bytes", 1 << 20..=1 << 40).unwrap_or(default.max_bytes);
        let events = [("trust", true), ("ignore", false)];
        let heeds_events = section.choice("events", &events).unwrap_or(default.heeds_events);
        source.map(|source| Self {
            source,
            policy_age,
            thing_age,
            absent_age,
            max_lag,
            timeout,
            concurrency,
            max_bytes,
            heeds_events,
        })
    }
}

fn topics(section: &mut Section<'_>, folder: &Path) -> Option<TopicsConfig> {
    let bootstrap_servers = section.required_text("bootstrap_servers", "list brokers as host:port");
    let bootstrap_servers = bootstrap_servers.map(|text| servers(section, &text));
    let things = section.required_text("things", "name the topic of the things");
    let policies = section.required_text("policies", "name the topic of the policies");
    if things.is_some() && things == policies {
        section.refuse("policies", "is the topic of the things");
    }
    let security = security(section, folder);
    let max_bytes = section.number("table_bytes", 1 << 20..=1 << 40).unwrap_or(1 << 30);
    let cluster = ClusterSettings { bootstrap_servers: bootstrap_servers?, security };
    Some(TopicsConfig { cluster, things: things?, policies: policies?, max_bytes })
}

fn http(section: &mut Section<'_>, folder: &Path) -> Option<HttpConfig> {
    let url = section.required_text("url", "write where Ditto is, such as \"https://ditto.example.com\"");
    let url = url.filter(|text| {
        // A mistake is told without the text, which may hold a password.
        let wrong = match Url::parse(text) {
            Err(error) => Some(format!("is no url: {error}")),
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                Some("is neither http:// nor https://".to_owned())
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                Some("has credentials; write them as username and password".to_owned())
            }
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                Some("has more than a path; end it before `?` and `#`".to_owned())
            }
            Ok(_) => None,
        };
        if let Some(wrong) = &wrong {
            section.refuse("url", wrong);
        }
        wrong.is_none()
    });
    let (username, password) = (section.text("username"), section.text("password").map(SecretString::from));
    let token = section.text("token").map(SecretString::from);
    let token_file = section.text("token_file").map(|path| folder.join(path));
    let subject = section.text("pre_authenticated");
    match (&username, &password) {
        (Some(name), _) if name.contains(':') => section.refuse("username", "has a colon"),
        (Some(_), None) => section.refuse("username", "needs a password beside it"),
        (None, Some(_)) => section.refuse("password", "needs a username beside it"),
        _ => {}
    }
    let basic = username.zip(password).map(|(username, password)| HttpLogin::Basic { username, password });
    let mut logins = [
        ("username", basic),
        ("token", token.map(HttpLogin::Bearer)),
        ("token_file", token_file.map(HttpLogin::BearerFile)),
        ("pre_authenticated", subject.map(HttpLogin::PreAuthenticated)),
    ]
    .into_iter()
    .filter_map(|(name, login)| Some((name, login?)));
    let first = logins.next();
    for (name, _) in logins {
        section.refuse(name, "is a second login; keep one of them");
    }
    let ca_pem = section.text("ca_file").and_then(|path| {
        let path = folder.join(path);
        let pem = std::fs::read_to_string(&path);
        pem.map_err(|error| {
            section.refuse("ca_file", &format!("`{}` cannot be read: {error}", path.display()))
        })
        .ok()
    });
    let url = url?;
    if ca_pem.is_some() && !url.starts_with("https:") {
        section.refuse("ca_file", "has no effect without https://");
    }
    Some(HttpConfig { url, login: first.map_or(HttpLogin::None, |(_, login)| login), ca_pem })
}
