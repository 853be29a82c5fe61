//! Which signal a message is (protocol.md §1 mapping order, §3–§7).

use std::fmt;

use crate::envelope::Envelope;
use crate::error::{ErrorCode, ProtocolError};
use crate::id::{AckLabel, check_thing_id, shorten};
use crate::resource::{MessagePath, PolicyResource, ThingResource, check_pointer, unknown_path};
use crate::topic::{Action, Channel, Criterion, Group, SearchAction, StreamingAction, TopicPath};

/// The type of a signal: `things.events:attributeModified`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalType {
    family: &'static str,
    /// The name in two parts, so that none has to be put together per message.
    name: [&'static str; 2],
}

impl fmt::Display for SignalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.family)?;
        if !self.family.is_empty() {
            f.write_str(":")?;
        }
        self.name.iter().try_for_each(|part| f.write_str(part))
    }
}

/// What kind of signal it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Category {
    /// Asks for something; messages are commands too.
    Command,
    /// Answers a command or a message.
    Response,
    /// Tells what has happened.
    Event,
    /// Says that somebody has got a signal.
    Acknowledgement,
    /// Announces something about a policy or a connection.
    Announcement,
    /// Answers with an error.
    Error,
}

impl Category {
    /// The name in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Response => "response",
            Self::Event => "event",
            Self::Acknowledgement => "acknowledgement",
            Self::Announcement => "announcement",
            Self::Error => "error",
        }
    }
}

/// What the topic, the path and the status of a message make of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) signal_type: SignalType,
    pub(crate) category: Category,
    pub(crate) subject: Subject,
}

/// What a signal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Thing(ThingResource),
    /// Many things.
    Things,
    /// A search for things.
    Search,
    /// Permissions on any entities.
    Permissions,
    Policy(PolicyResource),
    Connection,
    Message {
        to_thing: bool,
        at_feature: bool,
    },
    Acknowledgement,
    Acknowledgements,
    Streaming(Group),
}

/// The status of a response; one that is no HTTP status counts as none (protocol.md §2).
pub(crate) fn status_of(envelope: &Envelope<'_>) -> Result<Option<u16>, ProtocolError> {
    let Some(raw) = envelope.status else { return Ok(None) };
    let status = crate::envelope::integer("status", raw)?;
    if i32::try_from(status).is_err() {
        return Err(ProtocolError::new(ErrorCode::JSON_INVALID, format!("status {status} is out of bounds")));
    }
    Ok(u16::try_from(status).ok().filter(|status| (100..600).contains(status)))
}

impl Kind {
    /// Finds the kind of a message.
    pub(crate) fn find(
        topic: &TopicPath<'_>,
        text: &str,
        path: &str,
        status: Option<u16>,
    ) -> Result<Self, ProtocolError> {
        let unknown = || {
            ProtocolError::new(
                ErrorCode::UNKNOWN_TOPIC_PATH,
                format!("unknown topic `{}`: no signal has it", shorten(text)),
            )
        };
        if topic.group == Group::Things && topic.channel == Channel::None {
            return Err(unknown());
        }
        match (topic.group, topic.criterion) {
            (Group::Things, Criterion::Commands) => {
                thing_command(topic, path, status).and_then(|k| k.ok_or_else(unknown))
            }
            (Group::Things, Criterion::Events) => {
                thing_event(topic, path).and_then(|k| k.ok_or_else(unknown))
            }
            (Group::Things, Criterion::Messages) if topic.channel == Channel::Live => {
                message(topic, path, status, unknown)
            }
            (Group::Things, Criterion::Acks) if status.is_some() => {
                check_pointer(path)?;
                acknowledgement(topic)
            }
            (Group::Things, Criterion::Errors) if status.is_some() => {
                check_pointer(path)?;
                let subject = Subject::Thing(ThingResource::Thing);
                Ok(kind("things.responses", ["errorResponse", ""], Category::Error, subject))
            }
            (Group::Policies, Criterion::Errors) => {
                check_pointer(path)?;
                let subject = Subject::Policy(PolicyResource::Policy);
                Ok(kind("policies.responses", ["errorResponse", ""], Category::Error, subject))
            }
            (Group::Things, Criterion::Search) => {
                check_pointer(path)?;
                let action = topic.search_action.ok_or_else(unknown)?;
                let (family, category) = match action {
                    SearchAction::Subscribe | SearchAction::Cancel | SearchAction::Request => {
                        ("thing-search.commands", Category::Command)
                    }
                    SearchAction::Error => return Err(unknown()),
                    _ => ("thing-search.subscription.events", Category::Event),
                };
                Ok(kind(family, [action.as_str(), ""], category, Subject::Search))
            }
            (Group::Things | Group::Policies, Criterion::Streaming) if topic.channel != Channel::Live => {
                check_pointer(path)?;
                let action = topic.streaming_action.ok_or_else(unknown)?;
                let (family, category) = match action {
                    StreamingAction::SubscribeForPersistedEvents
                    | StreamingAction::Cancel
                    | StreamingAction::Request => ("streaming.subscription.commands", Category::Command),
                    StreamingAction::Error => return Err(unknown()),
                    _ => ("streaming.subscription.events", Category::Event),
                };
                Ok(kind(family, [action.as_str(), ""], category, Subject::Streaming(topic.group)))
            }
            (Group::Policies, Criterion::Commands | Criterion::Events) => {
                policy(topic, path, status).and_then(|k| k.ok_or_else(unknown))
            }
            (Group::Policies, Criterion::Announcements) if topic.subject == Some("subjectDeletion") => {
                check_pointer(path)?;
                Ok(kind(
                    "policies.announcements",
                    ["subjectDeletion", ""],
                    Category::Announcement,
                    Subject::Policy(PolicyResource::Policy),
                ))
            }
            (Group::Connections, Criterion::Announcements) => {
                check_pointer(path)?;
                let name = match topic.subject {
                    Some("opened") => "opened",
                    Some("closed") => "closed",
                    _ => return Err(unknown()),
                };
                Ok(kind(
                    "connectivity.announcements",
                    [name, ""],
                    Category::Announcement,
                    Subject::Connection,
                ))
            }
            _ => Err(unknown()),
        }
    }
}

fn kind(family: &'static str, name: [&'static str; 2], category: Category, subject: Subject) -> Kind {
    Kind { signal_type: SignalType { family, name }, category, subject }
}

/// `None`: the resource has no such command.
fn thing_command(
    topic: &TopicPath<'_>,
    path: &str,
    status: Option<u16>,
) -> Result<Option<Kind>, ProtocolError> {
    let (family, category) = match status {
        Some(_) => ("things.responses", Category::Response),
        None => ("things.commands", Category::Command),
    };
    let (action, verb) = match topic.action {
        Some(action @ Action::Create) => (action, "create"),
        Some(action @ Action::Retrieve) => (action, "retrieve"),
        Some(action @ Action::Modify) => (action, "modify"),
        Some(action @ Action::Merge) => (action, "merge"),
        Some(action @ Action::Delete) => (action, "delete"),
        Some(action @ Action::Migrate) => (action, "migrate"),
        _ => return Ok(None),
    };
    check_pointer(path)?;
    if action == Action::Retrieve && topic.is_wildcard() {
        return Ok(Some(kind(family, [verb, "Things"], category, Subject::Things)));
    }
    if action == Action::Migrate {
        let subject = Subject::Thing(ThingResource::Thing);
        return Ok(Some(kind(family, [verb, "ThingDefinition"], category, subject)));
    }
    let resource = ThingResource::of_path(path)?;
    match (action, resource) {
        (Action::Merge, ThingResource::InlinedPolicy) => return Err(unknown_path(path)),
        (_, ThingResource::InlinedPolicy) | (Action::Delete, ThingResource::PolicyId) => return Ok(None),
        (Action::Create, resource) if resource != ThingResource::Thing => return Ok(None),
        _ => {}
    }
    let noun = if action == Action::Merge { "Thing" } else { resource.noun() };
    Ok(Some(kind(family, [verb, noun], category, Subject::Thing(resource))))
}

/// `None`: the resource has no such event.
fn thing_event(topic: &TopicPath<'_>, path: &str) -> Result<Option<Kind>, ProtocolError> {
    let (action, verb) = match topic.action {
        Some(action @ Action::Created) => (action, "Created"),
        Some(action @ Action::Modified) => (action, "Modified"),
        Some(action @ Action::Deleted) => (action, "Deleted"),
        Some(action @ Action::Merged) => (action, "Merged"),
        Some(action @ Action::Migrated) => (action, "DefinitionMigrated"),
        _ => return Ok(None),
    };
    check_pointer(path)?;
    let resource = ThingResource::of_path(path)?;
    let (noun, resource) = match (action, resource) {
        (Action::Merged, ThingResource::InlinedPolicy) => return Err(unknown_path(path)),
        (_, ThingResource::InlinedPolicy) => return Ok(None),
        (Action::Merged, resource) => ("thing", resource),
        (Action::Migrated, _) => ("Thing", ThingResource::Thing),
        (Action::Created | Action::Deleted, ThingResource::PolicyId) => return Ok(None),
        (_, resource) => (resource.event_noun(), resource),
    };
    Ok(Some(kind("things.events", [noun, verb], Category::Event, Subject::Thing(resource))))
}

fn message(
    topic: &TopicPath<'_>,
    path: &str,
    status: Option<u16>,
    unknown: impl FnOnce() -> ProtocolError,
) -> Result<Kind, ProtocolError> {
    let subject = topic.subject.ok_or_else(unknown)?;
    check_thing_id(topic)?;
    let at = MessagePath::of_path(path, subject)?;
    // A claim is one wherever it goes.
    let at_feature = at.feature.is_some() && subject != "claim";
    let about = Subject::Message { to_thing: at.to_thing, at_feature };
    let name = match subject {
        "claim" => "claim",
        _ if at_feature => "feature",
        _ => "thing",
    };
    Ok(match status {
        None => kind("messages.commands", [name, "Message"], Category::Command, about),
        Some(_) => kind("messages.responses", [name, "ResponseMessage"], Category::Response, about),
    })
}

fn acknowledgement(topic: &TopicPath<'_>) -> Result<Kind, ProtocolError> {
    let Some(label) = topic.subject else {
        return Ok(kind("", ["acknowledgements", ""], Category::Acknowledgement, Subject::Acknowledgements));
    };
    let label: AckLabel = label.parse()?;
    if AckLabel::BUILT_IN.contains(&label.as_str()) {
        return Err(ProtocolError::new(
            ErrorCode::ACK_LABEL_FORBIDDEN,
            format!("label `{label}` is acknowledged by ditto itself"),
        ));
    }
    Ok(kind("", ["acknowledgement", ""], Category::Acknowledgement, Subject::Acknowledgement))
}

/// `None`: the resource has no such command or event.
fn policy(topic: &TopicPath<'_>, path: &str, status: Option<u16>) -> Result<Option<Kind>, ProtocolError> {
    let Some(action) = topic.action else { return Ok(None) };
    if topic.criterion == Criterion::Events {
        check_pointer(path)?;
        let resource = PolicyResource::of_path(path)?;
        let verb = match action {
            Action::Created if resource.has_created_event() => "Created",
            Action::Modified if !matches!(resource, PolicyResource::Imports | PolicyResource::Import) => {
                "Modified"
            }
            Action::Deleted if resource.is_deletable() && resource != PolicyResource::Import => "Deleted",
            _ => return Ok(None),
        };
        let noun = resource.event_noun();
        return Ok(Some(kind("policies.events", [noun, verb], Category::Event, Subject::Policy(resource))));
    }
    let (family, category) = match status {
        Some(_) => ("policies.responses", Category::Response),
        None => ("policies.commands", Category::Command),
    };
    let verb = match action {
        Action::Create => "create",
        Action::Modify => "modify",
        Action::Retrieve => "retrieve",
        Action::Delete => "delete",
        Action::CheckPermissions => {
            check_pointer(path)?;
            let name = if status.is_some() { "checkPermissionsResponse" } else { "checkPermissions" };
            return Ok(Some(kind(family, [name, ""], category, Subject::Permissions)));
        }
        _ => return Ok(None),
    };
    check_pointer(path)?;
    let resource = PolicyResource::of_path(path)?;
    match action {
        Action::Create if resource != PolicyResource::Policy => return Ok(None),
        Action::Delete if !resource.is_deletable() => return Ok(None),
        _ => {}
    }
    Ok(Some(kind(family, [verb, resource.noun()], category, Subject::Policy(resource))))
}
