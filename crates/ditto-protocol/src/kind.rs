//! Which signal a message is (protocol.md §1 mapping order, §3–§7).

use std::fmt;

use crate::envelope::Envelope;
use crate::error::{ErrorCode, ProtocolError};
use crate::id::{AckLabel, shorten};
use crate::resource::{MessagePath, PolicyResource, ThingResource};
use crate::topic::{Action, Channel, Criterion, Group, StreamingAction, TopicPath};

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
    /// Many things, or none in particular.
    Things,
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

/// Status and its bounds as the reference knows HTTP statuses.
fn is_known_status(status: i64) -> bool {
    matches!(status,
        100..=103 | 200..=208 | 226 | 300..=308 | 400..=418 | 421..=426 | 428 | 429 | 431 | 451
        | 500..=508 | 510 | 511)
}

/// The status of a response; an unknown one counts as none (protocol.md §2).
pub(crate) fn status_of(envelope: &Envelope<'_>) -> Result<Option<u16>, ProtocolError> {
    let Some(raw) = envelope.status else { return Ok(None) };
    let status = crate::envelope::integer("status", raw)?;
    Ok(u16::try_from(status).ok().filter(|_| is_known_status(status)))
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
            (Group::Things, Criterion::Events) if status.is_none() => {
                thing_event(topic, path).and_then(|k| k.ok_or_else(unknown))
            }
            (Group::Things, Criterion::Messages) if topic.channel == Channel::Live => {
                message(topic, path, status, unknown)
            }
            (Group::Things, Criterion::Acks) if status.is_some() => acknowledgement(topic),
            (Group::Things | Group::Policies, Criterion::Errors) if status.is_some() => {
                let (family, subject) = match topic.group {
                    Group::Policies => ("policies.responses", Subject::Policy(PolicyResource::Policy)),
                    _ => ("things.responses", Subject::Thing(ThingResource::Thing)),
                };
                Ok(kind(family, ["errorResponse", ""], Category::Error, subject))
            }
            (Group::Things, Criterion::Search) => {
                let action = topic.search_action.ok_or_else(unknown)?.as_str();
                Ok(match action {
                    "subscribe" | "cancel" | "request" => {
                        kind("thing-search.commands", [action, ""], Category::Command, Subject::Things)
                    }
                    "error" => {
                        kind("thing-search.errors", ["errorResponse", ""], Category::Error, Subject::Things)
                    }
                    _ => kind(
                        "thing-search.subscription.events",
                        [action, ""],
                        Category::Event,
                        Subject::Things,
                    ),
                })
            }
            (Group::Things | Group::Policies, Criterion::Streaming) => {
                let action = topic.streaming_action.ok_or_else(unknown)?;
                let subject = Subject::Streaming(topic.group);
                Ok(match action {
                    StreamingAction::SubscribeForPersistedEvents
                    | StreamingAction::Cancel
                    | StreamingAction::Request => kind(
                        "streaming.subscription.commands",
                        [action.as_str(), ""],
                        Category::Command,
                        subject,
                    ),
                    _ => {
                        kind("streaming.subscription.events", [action.as_str(), ""], Category::Event, subject)
                    }
                })
            }
            (Group::Policies, Criterion::Commands | Criterion::Events) => {
                policy(topic, path, status).and_then(|k| k.ok_or_else(unknown))
            }
            (Group::Policies, Criterion::Announcements) if topic.subject == Some("subjectDeletion") => {
                Ok(kind(
                    "policies.announcements",
                    ["subjectDeletion", ""],
                    Category::Announcement,
                    Subject::Policy(PolicyResource::Policy),
                ))
            }
            (Group::Connections, Criterion::Announcements) => {
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
    let Some(action) = topic.action else { return Ok(None) };
    if topic.is_wildcard() {
        return Ok(match action {
            Action::Retrieve => Some(kind(family, ["retrieve", "Things"], category, Subject::Things)),
            Action::CheckPermissions => Some(check_permissions(status)),
            _ => None,
        });
    }
    if action == Action::CheckPermissions {
        return Ok(Some(check_permissions(status)));
    }
    if action == Action::Create {
        check_status(status, &[201])?;
        return Ok(Some(kind(family, ["create", "Thing"], category, Subject::Thing(ThingResource::Thing))));
    }
    let resource = ThingResource::of_path(path)?;
    let verb = match action {
        Action::Modify => "modify",
        Action::Retrieve => "retrieve",
        Action::Delete => "delete",
        Action::Merge => "merge",
        Action::Migrate if resource == ThingResource::Definition => {
            return Ok(Some(kind(
                family,
                ["migrate", "ThingDefinition"],
                category,
                Subject::Thing(ThingResource::Thing),
            )));
        }
        _ => return Ok(None),
    };
    let exists = match action {
        Action::Merge => true,
        Action::Delete => resource != ThingResource::PolicyId,
        _ => true,
    };
    if !exists || (resource == ThingResource::InlinedPolicy && action != Action::Merge) {
        return Ok(None);
    }
    check_status(
        status,
        match action {
            Action::Retrieve => &[200],
            Action::Delete => &[204],
            _ => &[201, 204],
        },
    )?;
    let noun = if action == Action::Merge { "Thing" } else { resource.noun() };
    Ok(Some(kind(family, [verb, noun], category, Subject::Thing(resource))))
}

fn check_permissions(status: Option<u16>) -> Kind {
    let (family, category) = match status {
        Some(_) => ("common.responses", Category::Response),
        None => ("common.commands", Category::Command),
    };
    kind(family, ["checkPermissions", ""], category, Subject::Things)
}

fn check_status(status: Option<u16>, legal: &[u16]) -> Result<(), ProtocolError> {
    match status {
        Some(status) if !legal.contains(&status) => Err(ProtocolError::new(
            ErrorCode::ILLEGAL_ADAPTABLE,
            format!("a response of this kind has no status {status}; legal are {legal:?}"),
        )),
        _ => Ok(()),
    }
}

/// `None`: the resource has no such event.
fn thing_event(topic: &TopicPath<'_>, path: &str) -> Result<Option<Kind>, ProtocolError> {
    let resource = ThingResource::of_path(path)?;
    let verb = match topic.action {
        Some(Action::Created) => "Created",
        Some(Action::Modified) => "Modified",
        Some(Action::Deleted) => "Deleted",
        Some(Action::Merged) => {
            return Ok(Some(kind(
                "things.events",
                ["thing", "Merged"],
                Category::Event,
                Subject::Thing(resource),
            )));
        }
        Some(Action::Migrated) if resource == ThingResource::Definition => {
            let subject = Subject::Thing(ThingResource::Thing);
            return Ok(Some(kind(
                "things.events",
                ["Thing", "DefinitionMigrated"],
                Category::Event,
                subject,
            )));
        }
        _ => return Ok(None),
    };
    let exists = match resource {
        ThingResource::PolicyId => verb == "Modified",
        ThingResource::InlinedPolicy => false,
        _ => true,
    };
    let noun = resource.event_noun();
    Ok(exists.then(|| kind("things.events", [noun, verb], Category::Event, Subject::Thing(resource))))
}

fn message(
    topic: &TopicPath<'_>,
    path: &str,
    status: Option<u16>,
    unknown: impl FnOnce() -> ProtocolError,
) -> Result<Kind, ProtocolError> {
    let subject = topic.subject.ok_or_else(unknown)?;
    let at = MessagePath::of_path(path, subject)?;
    let about = Subject::Message { to_thing: at.to_thing, at_feature: at.feature.is_some() };
    Ok(match status {
        None => {
            let name = match at.feature {
                Some(_) => "feature",
                None if subject == "claim" => "claim",
                None => "thing",
            };
            kind("messages.commands", [name, "Message"], Category::Command, about)
        }
        Some(_) => {
            let name = match at.feature {
                Some(_) => "feature",
                None if subject == "claim" => "claim",
                None => "thing",
            };
            kind("messages.responses", [name, "ResponseMessage"], Category::Response, about)
        }
    })
}

fn acknowledgement(topic: &TopicPath<'_>) -> Result<Kind, ProtocolError> {
    let Some(label) = topic.subject else {
        return Ok(kind("", ["acknowledgements", ""], Category::Acknowledgement, Subject::Acknowledgements));
    };
    let label: AckLabel = label.parse()?;
    if matches!(label.as_str(), "twin-persisted" | "search-persisted") {
        return Err(ProtocolError::new(
            ErrorCode::ACK_LABEL_FORBIDDEN,
            format!("label `{label}` is acknowledged by ditto itself"),
        ));
    }
    Ok(kind("", ["acknowledgement", ""], Category::Acknowledgement, Subject::Acknowledgement))
}

/// `None`: the resource has no such command or event.
fn policy(topic: &TopicPath<'_>, path: &str, status: Option<u16>) -> Result<Option<Kind>, ProtocolError> {
    let resource = PolicyResource::of_path(path)?;
    let whole = resource == PolicyResource::Policy;
    let Some(action) = topic.action else { return Ok(None) };
    if topic.criterion == Criterion::Events {
        let verb = match action {
            Action::Created => "Created",
            Action::Modified => "Modified",
            Action::Deleted => "Deleted",
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
        Action::Create if whole => "create",
        Action::Modify => "modify",
        Action::Retrieve => "retrieve",
        Action::Delete => "delete",
        _ => return Ok(None),
    };
    check_status(
        status,
        match action {
            Action::Retrieve => &[200],
            Action::Delete => &[204],
            Action::Create => &[201],
            _ => &[201, 204],
        },
    )?;
    Ok(Some(kind(family, [verb, resource.noun()], category, Subject::Policy(resource))))
}
