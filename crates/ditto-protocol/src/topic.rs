//! Topic paths (protocol.md §1) and the topics of targets (topics.md §1).

use std::fmt;
use std::str::FromStr;

use crate::error::{ErrorCode, ProtocolError};
use crate::id::shorten;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each variant is the word of the protocol")]
        pub enum $name { $($variant,)* }

        impl $name {
            /// The word of the protocol.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(
    /// What kind of entity a topic is about.
    Group { Things = "things", Policies = "policies", Connections = "connections", }
);
words!(
    /// Twin or live; policies and connections have none.
    Channel { Twin = "twin", Live = "live", None = "none", }
);
words!(
    /// What kind of message it is.
    Criterion {
        Commands = "commands", Events = "events", Search = "search", Streaming = "streaming", Errors = "errors",
        Messages = "messages", Acks = "acks", Announcements = "announcements",
    }
);
words!(
    /// The action of a command or event.
    Action {
        Create = "create", Retrieve = "retrieve", Modify = "modify", Merge = "merge", Delete = "delete",
        Migrate = "migrate", Created = "created", Modified = "modified", Merged = "merged", Deleted = "deleted",
        Migrated = "migrated", CheckPermissions = "checkPermissions",
    }
);
words!(
    /// The action of a search message.
    SearchAction {
        Subscribe = "subscribe", Cancel = "cancel", Request = "request", Complete = "complete", Created = "created",
        Failed = "failed", Next = "next", Error = "error",
    }
);
words!(
    /// The action of a streaming message.
    StreamingAction {
        SubscribeForPersistedEvents = "subscribeForPersistedEvents", Cancel = "cancel", Request = "request",
        Complete = "complete", Created = "created", Failed = "failed", Next = "next", Error = "error",
    }
);

/// A topic, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicPath<'t> {
    /// Namespace of the entity; may be empty or `_`. Not validated.
    pub namespace: &'t str,
    /// Name of the entity; may be `_`. Not validated.
    pub name: &'t str,
    /// Kind of entity.
    pub group: Group,
    /// Twin or live.
    pub channel: Channel,
    /// Kind of message.
    pub criterion: Criterion,
    /// Of commands and events.
    pub action: Option<Action>,
    /// Of search messages.
    pub search_action: Option<SearchAction>,
    /// Of streaming messages.
    pub streaming_action: Option<StreamingAction>,
    /// Of messages, acknowledgements and announcements; with slashes.
    pub subject: Option<&'t str>,
}

impl<'t> TopicPath<'t> {
    /// Takes a topic apart.
    ///
    /// # Errors
    /// `protocoladapter:unknown.topicpath` with the part that is missing or unknown.
    pub fn parse(topic: &'t str) -> Result<Self, ProtocolError> {
        let unknown = |part: &str| {
            ProtocolError::new(
                ErrorCode::UNKNOWN_TOPIC_PATH,
                format!("unknown topic `{}`: no valid {part}", shorten(topic)),
            )
        };
        let mut segments = Segments::of_topic(topic);
        let namespace = segments.next().ok_or_else(|| unknown("namespace"))?;
        let name = segments.next().ok_or_else(|| unknown("entity name"))?;
        let group = segments.next().and_then(Group::parse).ok_or_else(|| unknown("group"))?;
        let channel = match group {
            Group::Things => segments.next().and_then(Channel::parse).ok_or_else(|| unknown("channel"))?,
            Group::Policies | Group::Connections => Channel::None,
        };
        let criterion = segments.next().and_then(Criterion::parse).ok_or_else(|| unknown("criterion"))?;
        let mut path = Self {
            namespace,
            name,
            group,
            channel,
            criterion,
            action: None,
            search_action: None,
            streaming_action: None,
            subject: None,
        };
        match criterion {
            Criterion::Commands | Criterion::Events => {
                let action = segments.next().and_then(Action::parse);
                path.action = Some(action.ok_or_else(|| unknown("action"))?);
            }
            Criterion::Search => {
                let action = segments.next().and_then(SearchAction::parse);
                path.search_action = Some(action.ok_or_else(|| unknown("search action"))?);
            }
            Criterion::Streaming => {
                let action = segments.next().and_then(StreamingAction::parse);
                path.streaming_action = Some(action.ok_or_else(|| unknown("streaming action"))?);
            }
            Criterion::Errors => {}
            Criterion::Messages | Criterion::Acks | Criterion::Announcements => {
                path.subject = segments.rest()
            }
        }
        Ok(path)
    }

    /// Whether it is about no single entity.
    pub fn is_wildcard(&self) -> bool {
        self.name == "_"
    }

    /// `topic:action-subject`: the action, or else the subject.
    pub fn action_or_subject(&self) -> Option<&'t str> {
        self.action.map(Action::as_str).or(self.subject)
    }
}

impl fmt::Display for TopicPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.name, self.group)?;
        if self.channel != Channel::None {
            write!(f, "/{}", self.channel)?;
        }
        write!(f, "/{}", self.criterion)?;
        let tail = [
            self.action.map(Action::as_str),
            self.search_action.map(SearchAction::as_str),
            self.streaming_action.map(StreamingAction::as_str),
            self.subject,
        ];
        tail.into_iter().flatten().try_for_each(|part| write!(f, "/{part}"))
    }
}

/// A topic that was taken apart, without its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TopicParts {
    namespace: Span,
    name: Span,
    subject: Option<Span>,
    /// What is no part of the text.
    words: TopicPath<'static>,
    /// Whether the topic is exactly its parts: nothing was ignored.
    pub(crate) is_canonical: bool,
}

/// Byte offsets into a topic.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(topic: &str, part: &str) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(topic.as_ptr() as usize);
        // Messages are far below 4 GiB (`Limits`).
        let offset = |at: usize| u32::try_from(at).unwrap_or_default();
        Self { start: offset(start), end: offset(start.wrapping_add(part.len())) }
    }

    fn get(self, topic: &str) -> &str {
        topic.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl TopicParts {
    /// The parts of a topic that was parsed of exactly this text.
    pub(crate) fn new(topic: &str, path: &TopicPath<'_>) -> Self {
        let words = TopicPath { namespace: "", name: "", subject: None, ..*path };
        let tail = [
            path.action.map(Action::as_str),
            path.search_action.map(SearchAction::as_str),
            path.streaming_action.map(StreamingAction::as_str),
            path.subject,
        ];
        let channel = if path.channel == Channel::None { 0 } else { 1 + path.channel.as_str().len() };
        let head = path.namespace.len() + 1 + path.name.len() + 1 + path.group.as_str().len() + channel;
        let tail: usize = tail.into_iter().flatten().map(|part| 1 + part.len()).sum();
        Self {
            namespace: Span::of(topic, path.namespace),
            name: Span::of(topic, path.name),
            subject: path.subject.map(|subject| Span::of(topic, subject)),
            words,
            // The parts stand in the topic in this order: all of them are all of it.
            is_canonical: head + 1 + path.criterion.as_str().len() + tail == topic.len(),
        }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.words.channel
    }

    /// Together with the text of the topic.
    pub(crate) fn of(self, topic: &str) -> TopicPath<'_> {
        TopicPath {
            namespace: self.namespace.get(topic),
            name: self.name.get(topic),
            subject: self.subject.map(|subject| subject.get(topic)),
            group: self.words.group,
            channel: self.words.channel,
            criterion: self.words.criterion,
            action: self.words.action,
            search_action: self.words.search_action,
            streaming_action: self.words.streaming_action,
        }
    }
}

/// Segments of a topic or of an envelope's path: at the first empty one splitting stops, and everything from its slash
/// on is one last segment. One trailing slash adds nothing. Nothing is decoded.
#[derive(Debug, Clone)]
pub struct Segments<'t> {
    rest: &'t str,
    /// A topic that starts with a slash has an empty namespace.
    empty_first: bool,
}

impl<'t> Segments<'t> {
    /// Of a topic: a leading slash makes the first segment empty.
    pub fn of_topic(text: &'t str) -> Self {
        match text.strip_prefix('/') {
            Some(rest) => Self { rest, empty_first: true },
            None => Self { rest: text, empty_first: false },
        }
    }

    /// Of a path: a leading slash is optional.
    pub fn of_path(text: &'t str) -> Self {
        Self { rest: text.strip_prefix('/').unwrap_or(text), empty_first: false }
    }

    /// All segments that have not been taken yet, joined.
    pub fn rest(self) -> Option<&'t str> {
        let rest = self.rest;
        let whole = rest.starts_with('/') || rest.contains("//");
        let joined = if whole { rest } else { rest.strip_suffix('/').unwrap_or(rest) };
        (!joined.is_empty()).then_some(joined)
    }
}

impl<'t> Iterator for Segments<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if std::mem::take(&mut self.empty_first) {
            return Some("");
        }
        if self.rest.is_empty() {
            return None;
        }
        // Segments are short: a loop beats a search that is made for long texts.
        let slash = self.rest.bytes().position(|byte| byte == b'/').filter(|at| *at > 0);
        let (segment, rest) = match slash {
            Some(at) => (self.rest.get(..at)?, self.rest.get(at + 1..)?),
            None => (self.rest, ""),
        };
        self.rest = rest;
        Some(segment)
    }
}

/// The kind of signals that a target subscribes to (topics.md §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetTopic {
    /// `_/_/things/twin/events`
    TwinEvents,
    /// `_/_/things/live/events`
    LiveEvents,
    /// `_/_/things/live/commands`
    LiveCommands,
    /// `_/_/things/live/messages`
    LiveMessages,
    /// `_/_/policies/announcements`
    PolicyAnnouncements,
    /// `_/_/connections/announcements`
    ConnectionAnnouncements,
}

impl TargetTopic {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::TwinEvents,
        Self::LiveEvents,
        Self::LiveCommands,
        Self::LiveMessages,
        Self::PolicyAnnouncements,
        Self::ConnectionAnnouncements,
    ];

    /// The text in a target's `topics`, without parameters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TwinEvents => "_/_/things/twin/events",
            Self::LiveEvents => "_/_/things/live/events",
            Self::LiveCommands => "_/_/things/live/commands",
            Self::LiveMessages => "_/_/things/live/messages",
            Self::PolicyAnnouncements => "_/_/policies/announcements",
            Self::ConnectionAnnouncements => "_/_/connections/announcements",
        }
    }

    /// Whether its signals announce something, and so carry no read subjects.
    pub fn is_announcement(self) -> bool {
        matches!(self, Self::PolicyAnnouncements | Self::ConnectionAnnouncements)
    }
}

impl fmt::Display for TargetTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TargetTopic {
    type Err = UnknownTopic;

    fn from_str(text: &str) -> Result<Self, UnknownTopic> {
        Self::ALL
            .into_iter()
            .find(|topic| topic.as_str() == text)
            .ok_or_else(|| UnknownTopic(text.to_owned()))
    }
}

/// A text that is no topic of a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown topic `{0}`")]
pub struct UnknownTopic(String);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(path: &str, expected: &[&str]) {
        assert_eq!(Segments::of_path(path).collect::<Vec<_>>(), expected, "{path}");
    }

    #[test]
    fn segments_stop_at_the_first_empty_one() {
        check("", &[]);
        check("/a/b/", &["a", "b"]);
        check("/a//x/y", &["a", "/x/y"]);
        check("//x", &["/x"]);
        check("/a//", &["a", "/"]);
    }

    #[test]
    fn subjects_keep_their_slashes() {
        for (topic, subject) in [
            ("a/b/things/live/messages/x/y/", Some("x/y")),
            ("a/b/things/live/messages//x", Some("/x")),
            ("a/b/things/live/messages/a//b", Some("a//b")),
            ("a/b/things/live/messages/", None),
        ] {
            assert_eq!(TopicPath::parse(topic).map(|path| path.subject), Ok(subject), "{topic}");
        }
    }

    proptest! {
        #[test]
        fn canonical_form_parses_back(topic in "[a-z/_]{0,9}|[a-z_]{0,2}/[a-z_]{1,2}/things/(twin|live)/(messages|acks|errors|events/modified)/[a-z/]{0,5}") {
            if let Ok(path) = TopicPath::parse(&topic) {
                let canonical = path.to_string();
                prop_assert_eq!(TopicPath::parse(&canonical), Ok(path));
            }
        }
    }
}
