//! What a message must have beside its topic and path, in the order in which the reference finds fault
//! (protocol.md §3–§7).

use ditto_json::{JsonKind, RawJson, RawObject, decode_string};

use crate::envelope::{Envelope, integer};
use crate::error::{ErrorCode, ProtocolError};
use crate::headers::Headers;
use crate::id::{
    AckLabel, ConnectionId, MessageSubject, SubjectId, ThingId, check_thing_id, check_topic_id, shorten,
};
use crate::instant::is_instant;
use crate::kind::{Category, Kind, Subject};
use crate::resource::{PolicyResource, ThingResource};
use crate::topic::{Action, Group, StreamingAction, TopicPath};
use crate::value::{self, Purpose, format_error};

/// A message whose kind is known.
pub(crate) struct Message<'m> {
    pub(crate) topic: &'m TopicPath<'m>,
    pub(crate) path: &'m str,
    pub(crate) kind: &'m Kind,
    pub(crate) envelope: &'m Envelope<'m>,
    pub(crate) status: Option<u16>,
    pub(crate) headers: &'m Headers,
}

fn missing(name: &str) -> ProtocolError {
    ProtocolError::new(ErrorCode::JSON_FIELD_MISSING, format!("member `{name}` is missing"))
}

/// Whatever is wrong with a response makes it a message that cannot be.
fn illegal(error: ProtocolError) -> ProtocolError {
    ProtocolError::new(ErrorCode::ILLEGAL_ADAPTABLE, error.message().to_owned())
}

impl Message<'_> {
    pub(crate) fn check(&self) -> Result<(), ProtocolError> {
        match (self.kind.subject, self.kind.category) {
            (Subject::Thing(_), Category::Error) => {
                self.check_error()?;
                check_thing_id(self.topic)
            }
            (Subject::Thing(resource), Category::Response) => {
                self.check_thing_response(resource).map_err(illegal)
            }
            (Subject::Thing(resource), _) => self.check_thing(resource),
            (Subject::Things, Category::Response) => match self.envelope.value.map(RawJson::kind) {
                Some(JsonKind::Array | JsonKind::Null) if self.status == Some(200) => Ok(()),
                _ => Err(ProtocolError::new(
                    ErrorCode::ILLEGAL_ADAPTABLE,
                    "a response with many things has status 200 and an array",
                )),
            },
            (Subject::Things, _) => self.check_thing_ids(),
            (Subject::Policy(_), Category::Error) => {
                self.check_error()?;
                check_topic_id(self.topic, ErrorCode::POLICY_ID_INVALID)
            }
            (Subject::Policy(_), Category::Announcement) => {
                check_topic_id(self.topic, ErrorCode::POLICY_ID_INVALID)?;
                self.check_subject_deletion()
            }
            (Subject::Policy(resource), Category::Response)
                if self.topic.action != Some(Action::Retrieve) =>
            {
                self.check_policy(resource).map_err(illegal)
            }
            (Subject::Policy(resource), _) => self.check_policy(resource),
            (Subject::Connection, _) => {
                self.topic.name.parse::<ConnectionId>()?;
                self.check_connection_announcement()
            }
            (Subject::Message { .. }, _) => self.check_message(),
            (Subject::Acknowledgement, _) => check_thing_id(self.topic),
            (Subject::Acknowledgements, _) => {
                check_thing_id(self.topic)?;
                self.check_acknowledgements()
            }
            (Subject::Search, _) => self.check_search(),
            (Subject::Streaming(group), _) => {
                let code = match group {
                    Group::Policies => ErrorCode::POLICY_ID_INVALID,
                    _ => ErrorCode::THING_ID_INVALID,
                };
                check_topic_id(self.topic, code)?;
                self.check_streaming()
            }
            (Subject::Permissions, _) => Ok(()),
        }
    }

    /// The value of a kind that has one.
    fn value(&self) -> Result<RawJson<'_>, ProtocolError> {
        self.envelope
            .value
            .ok_or_else(|| ProtocolError::new(ErrorCode::JSON_INVALID, "member `value` is missing"))
    }

    /// The members of a value that must be an object; null has none.
    fn members(&self) -> Result<RawObject<'_>, ProtocolError> {
        match self.envelope.value {
            Some(raw) if matches!(raw.kind(), JsonKind::Object | JsonKind::Null) => {
                Ok(RawObject::new(raw.text()))
            }
            other => {
                let text = other.map(RawJson::text).unwrap_or_default();
                Err(format_error("member `value`", "a json object", text))
            }
        }
    }

    fn check_thing(&self, resource: ThingResource) -> Result<(), ProtocolError> {
        let action = self.topic.action;
        if action == Some(Action::Merge) {
            check_merge_type(self.headers)?;
        }
        check_thing_id(self.topic)?;
        let is_event = self.kind.category == Category::Event;
        match action {
            Some(Action::Create | Action::Modify | Action::Merge) => {
                let own_id = format!("{}:{}", self.topic.namespace, self.topic.name);
                let purpose = if action == Some(Action::Merge) { Purpose::Merge } else { Purpose::Command };
                value::check(resource, self.value()?, purpose, Some(&own_id))?;
                resource.check_keys(self.path, true)?;
            }
            Some(Action::Created | Action::Modified) => {
                value::check(resource, self.value()?, Purpose::Event, None)?;
                if resource == ThingResource::Feature {
                    resource.check_keys(self.path, true)?;
                }
            }
            Some(Action::Merged) if self.envelope.value.is_none() => {
                return Err(format_error("member `value`", "there", ""));
            }
            Some(Action::Migrate) => {
                let members = self.members()?;
                text_of(&members, "thingDefinitionUrl")?;
            }
            Some(Action::Migrated) => value::check(resource, self.value()?, Purpose::Event, None)?,
            _ if !is_event => resource.check_keys(self.path, false)?,
            _ => {}
        }
        if is_event && self.envelope.revision.is_none() {
            return Err(missing("revision"));
        }
        Ok(())
    }

    fn check_thing_response(&self, resource: ThingResource) -> Result<(), ProtocolError> {
        check_thing_id(self.topic)?;
        let value = self.envelope.value;
        match (self.topic.action, self.status) {
            (Some(Action::Migrate), _) | (Some(Action::Merge), Some(204)) => Ok(()),
            (Some(Action::Delete), Some(204)) => resource.check_keys(self.path, false),
            // The reference lets any status pass here.
            (Some(Action::Delete), _) if resource == ThingResource::FeatureProperties => Ok(()),
            (Some(Action::Modify), Some(204)) if value.is_none() => resource.check_keys(self.path, false),
            (Some(Action::Modify), Some(201)) if value.is_none() => resource.check_keys(self.path, false),
            (Some(Action::Create | Action::Modify), Some(201)) | (Some(Action::Retrieve), Some(200)) => {
                value::check(resource, self.value()?, Purpose::Event, None)?;
                resource.check_keys(self.path, true)
            }
            (_, status) => Err(ProtocolError::new(
                ErrorCode::ILLEGAL_ADAPTABLE,
                format!(
                    "a response of this kind does not have status {} with {} value",
                    status.unwrap_or_default(),
                    if value.is_some() { "a" } else { "no" }
                ),
            )),
        }
    }

    fn check_thing_ids(&self) -> Result<(), ProtocolError> {
        let invalid = || {
            ProtocolError::new(
                ErrorCode::JSON_INVALID,
                "the value of a request for many things is an object with an array `thingIds`",
            )
        };
        let ids = RawObject::new(self.value()?.text())
            .filter(|(name, _)| name == "thingIds")
            .last()
            .and_then(|(_, ids)| serde_json::from_str::<Vec<serde_json::Value>>(ids).ok())
            .ok_or_else(invalid)?;
        if ids.is_empty() {
            return Err(ProtocolError::new(ErrorCode::THING_IDS_MISSING, "member `thingIds` names no thing"));
        }
        for id in &ids {
            let id: ThingId = id
                .as_str()
                .ok_or_else(|| format_error("a thing id", "a string", &id.to_string()))?
                .parse()?;
            if !matches!(self.topic.namespace, "_") && id.namespace() != self.topic.namespace {
                return Err(ProtocolError::new(
                    ErrorCode::JSON_FORMAT_INVALID,
                    format!("thing `{}` is not in the namespace of the topic", shorten(id.as_str())),
                ));
            }
        }
        Ok(())
    }

    fn check_error(&self) -> Result<(), ProtocolError> {
        match self.envelope.value.map(RawJson::kind) {
            None | Some(JsonKind::Null) => return Err(missing("value")),
            _ => {}
        }
        let members = self.members()?;
        text_of(&members, "error")?;
        match member(&members, "status") {
            Some(status) => integer("status", status).map(drop),
            None => Ok(()),
        }
    }

    fn check_policy(&self, resource: PolicyResource) -> Result<(), ProtocolError> {
        check_topic_id(self.topic, ErrorCode::POLICY_ID_INVALID)?;
        resource.check_path(self.path)?;
        match (self.topic.action, self.status) {
            (Some(Action::Create), None) => {
                text_of(&self.members()?, "policyId").map_err(|error| {
                    ProtocolError::new(ErrorCode::POLICY_ID_INVALID, error.message().to_owned())
                })?;
            }
            (Some(Action::Modify), None | Some(204)) | (Some(Action::Delete), None | Some(204)) => {}
            (Some(Action::Modify), Some(201)) if resource.is_creatable() => {}
            (Some(Action::Create), Some(201)) => {}
            (Some(Action::Create | Action::Modify | Action::Delete), Some(status)) => {
                return Err(ProtocolError::new(
                    ErrorCode::ILLEGAL_ADAPTABLE,
                    format!("a response of this kind does not have status {status}"),
                ));
            }
            _ => {}
        }
        let has_value = match self.topic.action {
            Some(Action::Created | Action::Modified) => true,
            Some(Action::Create | Action::Modify) => self.status != Some(204),
            Some(Action::Retrieve) => self.status.is_some(),
            _ => false,
        };
        if has_value && resource.is_object() {
            self.members()?;
        }
        if self.kind.category == Category::Event && self.envelope.revision.is_none() {
            return Err(missing("revision"));
        }
        Ok(())
    }

    fn check_subject_deletion(&self) -> Result<(), ProtocolError> {
        let members = self.members()?;
        instant_of(&members, "deleteAt")?;
        let ids = member(&members, "subjectIds").ok_or_else(|| missing("subjectIds"))?;
        let ids: Vec<String> = serde_json::from_str(ids).map_err(|_| {
            ProtocolError::new(ErrorCode::JSON_INVALID, "member `subjectIds` is not an array of strings")
        })?;
        ids.iter().try_for_each(|id| id.parse::<SubjectId>().map(drop))
    }

    fn check_connection_announcement(&self) -> Result<(), ProtocolError> {
        let name = if self.topic.subject == Some("opened") { "openedAt" } else { "closedAt" };
        instant_of(&self.members()?, name)
    }

    fn check_message(&self) -> Result<(), ProtocolError> {
        self.topic.subject.unwrap_or_default().parse::<MessageSubject>()?;
        let invalid = |name: &str, text: &str, expected: &str| {
            ProtocolError::new(
                ErrorCode::HEADER_INVALID,
                format!("header `{name}` is not {expected}: `{}`", shorten(text)),
            )
        };
        if let Some(status) = self.headers.text("status")
            && !status.parse().is_ok_and(|status: u16| (100..600).contains(&status))
        {
            return Err(invalid("status", &status, "an HTTP status"));
        }
        match self.headers.text("timestamp") {
            Some(timestamp) if !is_instant(&timestamp) => {
                Err(invalid("timestamp", &timestamp, "an instant such as 2024-05-06T07:08:09Z"))
            }
            _ => Ok(()),
        }
    }

    /// Each label has `{status, payload?, headers?}`.
    fn check_acknowledgements(&self) -> Result<(), ProtocolError> {
        if self.envelope.value.is_none() {
            return Err(missing("value"));
        }
        let mut labels = self.members()?.peekable();
        if labels.peek().is_none() {
            return Err(format_error(
                "the value of aggregated acknowledgements",
                "an object with a label",
                "{}",
            ));
        }
        for (label, raw) in labels {
            if !matches!(JsonKind::of(raw), JsonKind::Object | JsonKind::Null) {
                return Err(format_error("an acknowledgement", "a json object", raw));
            }
            label
                .parse::<AckLabel>()
                .map_err(|error| ProtocolError::new(ErrorCode::JSON_INVALID, error.message().to_owned()))?;
            let members = RawObject::new(raw);
            let status = member(&members, "status").ok_or_else(|| missing("status"))?;
            if !(100..600).contains(&integer("status", status)?) {
                return Err(ProtocolError::new(
                    ErrorCode::JSON_INVALID,
                    format!("acknowledgement `{}` has no HTTP status", shorten(&label)),
                ));
            }
            if let Some(headers) = member(&members, "headers") {
                Headers::of_object(headers)?;
            }
        }
        Ok(())
    }

    fn check_search(&self) -> Result<(), ProtocolError> {
        if self.envelope.value.is_none() {
            return Ok(());
        }
        let members = self.members()?;
        let needs_id = matches!(
            self.topic.search_action,
            Some(crate::topic::SearchAction::Cancel | crate::topic::SearchAction::Request)
        );
        if needs_id && member(&members, "subscriptionId").is_none() {
            return Err(format_error("member `subscriptionId`", "there", ""));
        }
        Ok(())
    }

    fn check_streaming(&self) -> Result<(), ProtocolError> {
        let begins = self.topic.streaming_action == Some(StreamingAction::SubscribeForPersistedEvents);
        match self.envelope.value {
            None if begins => return Ok(()),
            None => return Err(missing("value")),
            Some(_) => {}
        }
        let members = self.members()?;
        if !begins {
            return text_of(&members, "subscriptionId");
        }
        for name in ["fromHistoricalTimestamp", "toHistoricalTimestamp"] {
            if member(&members, name).is_some() {
                instant_of(&members, name)?;
            }
        }
        Ok(())
    }
}

/// The last member of that name; null counts as none.
fn member<'t>(members: &RawObject<'t>, name: &str) -> Option<&'t str> {
    members.clone().filter(|(other, _)| other == name).last().map(|(_, raw)| raw).filter(|raw| *raw != "null")
}

/// Checks a member that must be a string.
fn text_of(members: &RawObject<'_>, name: &str) -> Result<(), ProtocolError> {
    let raw = member(members, name).ok_or_else(|| missing(name))?;
    crate::envelope::string(name, raw).map(drop)
}

/// Checks a member that must be an instant.
fn instant_of(members: &RawObject<'_>, name: &str) -> Result<(), ProtocolError> {
    let raw = member(members, name).ok_or_else(|| missing(name))?;
    match decode_string(raw) {
        Some(text) if is_instant(&text) => Ok(()),
        _ => Err(ProtocolError::new(
            ErrorCode::JSON_INVALID,
            format!("member `{name}` is no instant such as 2024-05-06T07:08:09Z: `{}`", shorten(raw)),
        )),
    }
}

fn check_merge_type(headers: &Headers) -> Result<(), ProtocolError> {
    const MERGE_PATCH: &str = "application/merge-patch+json";
    let content_type = headers.content_type();
    let media_type = content_type.as_deref().and_then(|text| text.split(';').next()).unwrap_or_default();
    if media_type.eq_ignore_ascii_case(MERGE_PATCH) {
        return Ok(());
    }
    Err(ProtocolError::new(
        ErrorCode::MEDIA_TYPE_UNSUPPORTED,
        format!("a merge needs content-type {MERGE_PATCH}, not `{}`", shorten(media_type)),
    ))
}

#[cfg(test)]
mod tests {
    use crate::signal::{Limits, Signal};

    const CREATED: &str = "things.events:attributeCreated";

    /// `topic` without `a/b/things/`, the path, and the other members.
    #[track_caller]
    fn check(topic: &str, path: &str, members: &str, expected: Result<&str, &str>) {
        let topic = if topic.contains("/things/") || topic.contains("/policies/") || topic.starts_with("_/") {
            topic.to_owned()
        } else {
            format!("a/b/things/{topic}")
        };
        let text = format!(r#"{{"topic":"{topic}","path":"{path}"{members}}}"#);
        let decoded = Signal::decode(text.clone().into(), &Limits::default())
            .map(|signal| signal.signal_type().to_string())
            .map_err(|error| error.code().name());
        assert_eq!(decoded.as_deref().map_err(|code| *code), expected, "{text}");
    }

    #[test]
    fn faults_come_in_the_order_of_the_reference() {
        check("twin/commands/foo", "//", "", Err("protocoladapter:unknown.topicpath"));
        check("twin/commands/modify", "//", "", Err("json.pointer.invalid"));
        check("twin/commands/merge", "/attributes", r#","value":5"#, Err("mediatype.unsupported"));
        check("bad ns/b/things/twin/commands/modify", "/attributes/ä", "", Err("things:id.invalid"));
        check("twin/commands/modify", "/attributes/ä", "", Err("json.invalid"));
        check("twin/commands/modify", "/attributes/ä", r#","value":5"#, Err("json.key.invalid"));
        check("bad ns/b/things/live/messages/x", "/inbox/messages/y", "", Err("things:id.invalid"));
        check("twin/commands/retrieve", "/", r#","fields":"a//b""#, Err("json.pointer.invalid"));
        check(
            "twin/commands/retrieve",
            "/",
            r#","headers":{"timeout":"x"},"fields":5"#,
            Err("timeout.invalid"),
        );
    }

    #[test]
    fn events_have_been_checked_by_ditto_itself() {
        check("twin/events/created", "/attributes/ä", r#","value":{"ö":1},"revision":1"#, Ok(CREATED));
        check(
            "twin/events/created",
            "/attributes/a",
            r#","value":1,"revision":1.0,"status":200"#,
            Ok(CREATED),
        );
        check("twin/events/created", "/attributes/a", r#","value":1"#, Err("json.field.missing"));
        check(
            "twin/events/modified",
            "/attributes",
            r#","value":5,"revision":1"#,
            Err("json.format.invalid"),
        );
        check(
            "twin/events/modified",
            "/definition",
            r#","value":"","revision":1"#,
            Ok("things.events:definitionModified"),
        );
        check(
            "twin/events/merged",
            "/policyId",
            r#","value":null,"revision":1"#,
            Ok("things.events:thingMerged"),
        );
        check("twin/events/merged", "/policyId", r#","revision":1"#, Err("json.format.invalid"));
        check(
            "twin/events/migrated",
            "/",
            r#","value":{},"revision":1"#,
            Ok("things.events:ThingDefinitionMigrated"),
        );
    }

    #[test]
    fn values_of_commands() {
        check(
            "twin/commands/create",
            "/attributes",
            r#","value":{}"#,
            Err("protocoladapter:unknown.topicpath"),
        );
        check(
            "twin/commands/modify",
            "/definition",
            r#","value":"""#,
            Err("things:definition.identifier.invalid"),
        );
        check("twin/commands/modify", "/", r#","value":{"attributes":5}"#, Err("json.invalid"));
        let hidden = r#","value":{"\ud800":1,"thingId":"x:y"}"#;
        check("twin/commands/modify", "/", hidden, Err("things:id.notsettable"));
        check(
            "twin/commands/modify",
            "/features/f/definition",
            r#","value":[]"#,
            Err("things:feature.definition.empty"),
        );
        let merge = |value: &str, expected| {
            let members =
                format!(r#","headers":{{"content-type":"application/merge-patch+json"}},"value":{value}"#);
            check("twin/commands/merge", "/", &members, expected);
        };
        merge("{}", Err("things:merge.invalid"));
        merge(r#"{"thingId":null}"#, Err("things:id.notdeletable"));
        merge(r#"{"policyId":null}"#, Err("things:policyId.notdeletable"));
        merge(r#"{"attributes":null}"#, Ok("things.commands:mergeThing"));
    }

    #[test]
    fn impossible_responses() {
        let illegal = Err("protocoladapter:illegal.adaptable");
        check("twin/commands/retrieve", "/attributes/a", r#","value":5,"status":404"#, illegal);
        check("twin/commands/retrieve", "/attributes/a", r#","status":200"#, illegal);
        check("twin/commands/modify", "/attributes/a", r#","value":5,"status":204"#, illegal);
        check("twin/commands/modify", "/attributes/ä", r#","status":204"#, illegal);
        check("twin/commands/merge", "/attributes/a", r#","status":201"#, illegal);
        check("_/b/things/twin/commands/delete", "/", r#","status":204"#, illegal);
        check("twin/commands/modify", "/attributes/a", r#","status":599"#, illegal);
        check(
            "twin/commands/delete",
            "/attributes/a",
            r#","status":600"#,
            Ok("things.commands:deleteAttribute"),
        );
        assert_eq!(crate::error::ErrorCode::ILLEGAL_ADAPTABLE.status(), 422);
    }

    #[test]
    fn wildcards_and_other_groups() {
        let retrieve = |value: &str, expected| {
            check("_/_/things/twin/commands/retrieve", "/", &format!(r#","value":{value}"#), expected);
        };
        retrieve(r#"{"thingIds":["a:b"]}"#, Ok("things.commands:retrieveThings"));
        retrieve(r#"{"thingIds":[]}"#, Err("things:things.ids.missing"));
        retrieve(r#"{"thingIds":["b"]}"#, Err("things:id.invalid"));
        check("_/_/things/twin/commands/modify", "/attributes/a", r#","value":5"#, Err("things:id.invalid"));
        check("_/_/policies/commands/checkPermissions", "/", "", Ok("policies.commands:checkPermissions"));
        check("twin/commands/checkPermissions", "/", "", Err("protocoladapter:unknown.topicpath"));
        check("_/_/things/twin/search/error", "/", "", Err("protocoladapter:unknown.topicpath"));
        check("live/streaming/cancel", "/", "", Err("protocoladapter:unknown.topicpath"));
        check("a/b/policies/commands/delete", "/entries", "", Err("protocoladapter:unknown.topicpath"));
        check("a/b/policies/commands/delete", "/entries/imported-x", "", Err("policies:label.invalid"));
        check(
            "a/b/policies/errors",
            "/",
            r#","value":{"error":"x:y"}"#,
            Ok("policies.responses:errorResponse"),
        );
    }

    #[test]
    fn messages() {
        let claim = Ok("messages.commands:claimMessage");
        check("live/messages/claim", "/features/f/inbox/messages/claim", "", claim);
        check("live/messages/ä", "/inbox/messages/ä", "", Err("header.invalid"));
        check("live/messages/x", "/inbox/messages/x", r#","headers":{"status":999}"#, Err("header.invalid"));
        check(
            "live/messages/x",
            "/inbox/messages/x",
            r#","headers":{"timestamp":"x"}"#,
            Err("header.invalid"),
        );
    }

    #[test]
    fn acknowledgements_errors_and_announcements() {
        check(
            "twin/acks/live-response",
            "/",
            r#","status":200"#,
            Err("acknowledgement:ditto.acklabel.forbidden"),
        );
        let acks = |value: &str, expected| {
            check("twin/acks", "/", &format!(r#","status":200,"value":{value}"#), expected);
        };
        acks(r#"{"c:lbl":{"status":200,"headers":{}}}"#, Ok("acknowledgements"));
        acks("{}", Err("json.format.invalid"));
        acks(r#"{"c:lbl":5}"#, Err("json.format.invalid"));
        acks(r#"{"ab":{"status":200}}"#, Err("json.invalid"));
        acks(r#"{"c:lbl":{}}"#, Err("json.field.missing"));
        acks(r#"{"c:lbl":{"status":200,"headers":{"timeout":"x"}}}"#, Err("timeout.invalid"));
        check("twin/acks", "/", r#","status":200"#, Err("json.field.missing"));
        check("twin/errors", "/", r#","status":404,"value":null"#, Err("json.field.missing"));
        check("twin/errors", "/", r#","status":404,"value":5"#, Err("json.format.invalid"));
        check("twin/errors", "/", r#","status":404,"value":{"message":"m"}"#, Err("json.field.missing"));
        let opened = "_/c/connections/announcements/opened";
        check(
            opened,
            "/",
            r#","value":{"openedAt":"2030-01-01T00:00:00Z"}"#,
            Ok("connectivity.announcements:opened"),
        );
        check(opened, "/", r#","value":{}"#, Err("json.field.missing"));
        check(opened, "/", r#","value":{"openedAt":"soon"}"#, Err("json.invalid"));
    }
}
