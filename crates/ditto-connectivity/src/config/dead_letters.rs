//! Where goes what has failed: `dead_letters` of `[lanes]`, and the table `[dead_letters]`.

use std::path::Path;

use ditto_kafka::ClusterSettings;
use ditto_placeholder::{Placeholder, Resolution, Resolve, ResolvedAddress, Scope, Template};

use super::section::Section;
use super::{FeedConfig, security, servers};

/// The topic for dead letters of a connection, on its own cluster. It may name the connection: `{{ connection:id }}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LettersTopic(Template);

/// Where records of the feed go, as they were, that are no signals or have failed.
#[derive(Debug, Clone)]
pub struct OriginalsConfig {
    /// The cluster.
    pub cluster: ClusterSettings,
    /// The topic.
    pub topic: String,
}

struct OfConnection<'i>(&'i str);

impl Resolve for OfConnection<'_> {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        matches!(placeholder, Placeholder::ConnectionId).then(|| out.push_str(self.0))
    }
}

impl LettersTopic {
    /// Reads a topic name with or without the placeholder.
    ///
    /// # Errors
    /// It is no template.
    pub fn parse(text: &str) -> Result<Self, String> {
        let why = |error| format!("{error}; only {{{{ connection:id }}}} may stand here");
        Template::parse(text, Scope::Connection).map(Self).map_err(why)
    }

    /// The topic of a connection, which may not be one of the feed: letters would be read as signals.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of(&self, connection_id: &str, feed: Option<&FeedConfig>) -> Result<String, String> {
        let mut topic = String::new();
        match self.0.resolve_into(&OfConnection(connection_id), &mut topic) {
            Ok(Resolution::Resolved) => {}
            Ok(_) => return Err(format!("`{}` has no value", self.0)),
            Err(error) => return Err(error.to_string()),
        }
        let is_topic = ResolvedAddress::parse(&topic).is_ok_and(|address| address.topic == topic);
        if !is_topic {
            return Err(format!(
                "`{topic}` is no topic: 1 to 249 of A-Z a-z 0-9 . _ - are allowed; fn:replace takes others away"
            ));
        }
        if let Some(FeedConfig::Kafka(feed)) = feed
            && feed.topics.contains(&topic)
        {
            return Err(format!("`{topic}` is a topic of the feed: letters would be read as signals"));
        }
        Ok(topic)
    }

    /// The key `dead_letters`: `None` if it is not there, none within if it is empty. Without a connection it is that of all.
    pub(super) fn read(
        section: &mut Section<'_>,
        connection_id: Option<&str>,
        feed: Option<&FeedConfig>,
    ) -> Option<Option<Self>> {
        const KEY: &str = "dead_letters";
        let text = section.text(KEY)?;
        if text.is_empty() {
            return Some(None);
        }
        let topic = Self::parse(&text).map_err(|why| section.refuse(KEY, &why)).ok()?;
        if connection_id.is_none() && topic.0.placeholders().next().is_none() {
            let why = "is the same for all connections, and would show each what others may read; add {{ connection:id }}";
            section.refuse(KEY, why);
        } else if let Err(why) = topic.of(connection_id.unwrap_or("id"), feed) {
            section.refuse(KEY, &why);
        }
        Some(Some(topic))
    }
}

impl OriginalsConfig {
    pub(super) fn read(section: &mut Section<'_>, feed: Option<&FeedConfig>, folder: &Path) -> Option<Self> {
        if !section.is_there() {
            return None;
        }
        let topic = section.required_text("topic", "name the topic");
        let of_feed = match feed {
            Some(FeedConfig::Kafka(feed)) => Some(feed),
            _ => None,
        };
        let own = section.text("bootstrap_servers").map(|text| servers(section, &text));
        let security = security(section, folder);
        let topic = topic?;
        let has_login = ["username", "tls", "ca_file"].iter().any(|key| section.has(key));
        let cluster = match (own, of_feed) {
            (Some(bootstrap_servers), _) => ClusterSettings { bootstrap_servers, security },
            (None, Some(feed)) => {
                if has_login {
                    section.missing(
                        "bootstrap_servers",
                        "list brokers, or leave login and tls to those of [feed]",
                    );
                }
                feed.cluster.clone()
            }
            (None, None) => {
                section.missing("bootstrap_servers", "list brokers as host:port");
                return None;
            }
        };
        if of_feed.is_some_and(|feed| {
            feed.topics.contains(&topic) && feed.cluster.bootstrap_servers == cluster.bootstrap_servers
        }) {
            section.refuse("topic", "is a topic of the feed: what is kept would be read again");
        }
        if !ResolvedAddress::parse(&topic).is_ok_and(|address| address.topic == topic) {
            section.refuse("topic", &format!("`{topic}` is no topic"));
        }
        Some(Self { cluster, topic })
    }
}
