//! Targets (connection-model.md §8, §9).

use std::collections::HashSet;

use ditto_placeholder::{AddressError, KafkaAddress, Template, TemplateError, caret};
use ditto_protocol::{AckLabel, ConnectionId, TargetTopic};
use serde_json::{Map, Value};

use super::{CONFIGURATION_INVALID, JSON_INVALID, MAX_TARGETS, Reader};
use crate::model::Target;
use crate::subscription::TopicSubscription;
use crate::topic::FilteredTopic;

impl Reader<'_> {
    pub(super) fn targets(&mut self, root: &Map<String, Value>, id: Option<&ConnectionId>) -> Vec<Target> {
        let elements = match root.get("targets") {
            Some(Value::Array(elements)) => elements.as_slice(),
            None | Some(Value::Null) => &[],
            Some(_) => {
                self.error(
                    "/targets",
                    JSON_INVALID,
                    "`targets` is not an array",
                    "put the targets in brackets",
                );
                return Vec::new();
            }
        };
        if elements.is_empty() {
            self.error("", CONFIGURATION_INVALID, "the connection has no target", "add one to `targets`");
        }
        if elements.len() > MAX_TARGETS {
            let reason = format!("{} targets are more than {MAX_TARGETS}", elements.len());
            self.error("/targets", CONFIGURATION_INVALID, reason, "spread them over several connections");
        }
        let mut targets: Vec<Target> = Vec::new();
        let mut labels = HashSet::new();
        for (n, element) in elements.iter().enumerate() {
            let at = format!("/targets/{n}");
            let Value::Object(members) = element else {
                self.error(&at, JSON_INVALID, "a target is a json object", "put it in braces");
                continue;
            };
            let Some(target) = self.target(&at, members, root, id) else { continue };
            if target.issued_acknowledgement_label.clone().is_some_and(|label| !labels.insert(label)) {
                let reason = "another target issues the same acknowledgement label";
                self.error(
                    &format!("{at}/issuedAcknowledgementLabel"),
                    "acknowledgement:label.not.unique",
                    reason,
                    "give each target its own",
                );
            }
            targets.push(target);
        }
        targets
    }

    /// `None` if the address is refused; other findings leave a target to go on with.
    fn target(
        &mut self,
        at: &str,
        members: &Map<String, Value>,
        root: &Map<String, Value>,
        id: Option<&ConnectionId>,
    ) -> Option<Target> {
        let topics = self.topics(at, members, root);
        let authorization_context = self.strings(members, at, "authorizationContext");
        let authorization_context: Vec<String> =
            authorization_context.into_iter().map(|(_, subject)| subject).collect();
        if authorization_context.is_empty() {
            let reason = "`authorizationContext` names no subject";
            self.error(
                at,
                CONFIGURATION_INVALID,
                reason,
                "add the subjects that may read, such as integration:my-team",
            );
        }
        if let Some(n) = authorization_context.iter().position(String::is_empty) {
            self.error(
                &format!("{at}/authorizationContext/{n}"),
                CONFIGURATION_INVALID,
                "a subject is empty",
                "remove it",
            );
        }
        let header_mapping = self.header_mapping(at, members);
        self.payload_mapping(at, members, root);
        let label = self.label(at, members, id);
        let address = self.address(at, members)?;
        Some(Target {
            address,
            topics,
            authorization_context,
            header_mapping,
            issued_acknowledgement_label: label,
        })
    }

    fn address(&mut self, at: &str, members: &Map<String, Value>) -> Option<KafkaAddress> {
        let text = self.string(members, at, "address", true)?;
        let pointer = format!("{at}/address");
        match text.parse::<KafkaAddress>() {
            Ok(address) => Some(address),
            Err(error) => {
                let remedy = match error {
                    AddressError::Template(_) | AddressError::Function(_) => "mend the placeholder",
                    AddressError::Unresolved => "add a function such as fn:default('other') at the end",
                    _ => "write topic, topic/key or topic#partition",
                };
                let reason = format!("the address is refused: {error}");
                self.error_in(Some(error.caret(text)), &pointer, error.code(), reason, remedy);
                None
            }
        }
    }

    fn topics(
        &mut self,
        at: &str,
        members: &Map<String, Value>,
        root: &Map<String, Value>,
    ) -> Vec<TopicSubscription> {
        let mut topics = Vec::new();
        let mut seen = HashSet::new();
        for (n, text) in self.strings(members, at, "topics") {
            let pointer = format!("{at}/topics/{n}");
            let topic = text.parse::<FilteredTopic>();
            if topic.as_ref().is_ok_and(|topic| !seen.insert(topic.clone())) {
                continue;
            }
            match topic.and_then(TopicSubscription::try_from) {
                Ok(topic) => topics.push(topic),
                Err(error) => {
                    let (at, value) = error.place(&text);
                    let reason = error.kind().to_string();
                    self.error_in(Some(caret(value, at)), &pointer, error.code(), reason, &error.remedy());
                }
            }
        }
        let announces = |topic: &TopicSubscription| topic.topic() == TargetTopic::ConnectionAnnouncements;
        if topics.iter().any(announces)
            && root.get("clientCount").and_then(Value::as_u64).is_some_and(|n| n > 1)
        {
            let reason = "connection announcements need a client count of 1";
            self.error(&format!("{at}/topics"), CONFIGURATION_INVALID, reason, "set `clientCount` to 1");
        }
        topics
    }

    fn header_mapping(&mut self, at: &str, members: &Map<String, Value>) -> Vec<(String, Template)> {
        let entries = match members.get("headerMapping") {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Object(entries)) => entries,
            Some(_) => {
                self.error(
                    &format!("{at}/headerMapping"),
                    JSON_INVALID,
                    "`headerMapping` is not an object",
                    "put it in braces",
                );
                return Vec::new();
            }
        };
        let mut mapping = Vec::new();
        // Values that are no strings have no effect (outbound.md §4.2).
        for (name, value) in entries.iter().filter_map(|(name, value)| Some((name, value.as_str()?))) {
            let pointer = format!("{at}/headerMapping/{}", name.replace('~', "~0").replace('/', "~1"));
            let excerpt = |error: &TemplateError| {
                let (at, expression) = expression(value, error.at());
                caret(expression, at)
            };
            let template = value.parse::<Template>();
            let template = template.map_err(|error| (error.to_string(), Some(excerpt(&error))));
            let checked = |template: Template| match template.check() {
                Ok(()) => Ok(template),
                Err(error) => Err((error.to_string(), None)),
            };
            match template.and_then(checked) {
                Ok(template) => {
                    if name == "content-type" && has_other_charset(&template) {
                        let reason = "payloads in a charset other than utf-8 are not built yet";
                        self.error(&pointer, CONFIGURATION_INVALID, reason, "leave `charset` out");
                    }
                    mapping.push((name.clone(), template));
                }
                Err((reason, excerpt)) => {
                    let reason = format!("the value is refused: {reason}");
                    self.error_in(excerpt, &pointer, CONFIGURATION_INVALID, reason, "mend the placeholder");
                }
            }
        }
        mapping
    }

    fn payload_mapping(&mut self, at: &str, members: &Map<String, Value>, root: &Map<String, Value>) {
        // A definition of that name would take the place of the mapper that is built.
        let is_defined = root.get("mappingDefinitions").is_some_and(|all| all.get("Ditto").is_some());
        for (n, mapper) in self.strings(members, at, "payloadMapping") {
            if mapper != "Ditto" || is_defined || n > 0 {
                let reason = format!("payload mapper `{mapper}` is not built yet");
                self.error(
                    &format!("{at}/payloadMapping/{n}"),
                    CONFIGURATION_INVALID,
                    reason,
                    "use Ditto alone, or leave `payloadMapping` out",
                );
            }
        }
    }

    /// Resolves `{{ connection:id }}` and checks whose label it is.
    fn label(
        &mut self,
        at: &str,
        members: &Map<String, Value>,
        id: Option<&ConnectionId>,
    ) -> Option<AckLabel> {
        const INVALID: &str = "acknowledgement:label.invalid";
        let pointer = format!("{at}/issuedAcknowledgementLabel");
        let text = self.string(members, at, "issuedAcknowledgementLabel", false)?;
        let label: AckLabel = match text.parse() {
            Ok(label) => label,
            Err(error) => {
                let error: ditto_protocol::ProtocolError = error;
                self.error(
                    &pointer,
                    INVALID,
                    error.message(),
                    "write {{connection:id}}: and a name of at least 3 characters",
                );
                return None;
            }
        };
        let id = id?;
        let own = match text.split_once("}}:") {
            Some((placeholder, name)) if placeholder.trim_start_matches('{').trim() == "connection:id" => {
                format!("{id}:{name}")
            }
            _ => label.to_string(),
        };
        if own != "live-response" && !own.starts_with(&format!("{id}:")) {
            let reason = format!("label `{own}` does not start with the id of the connection");
            self.error(&pointer, INVALID, reason, "write {{connection:id}}: before it, or use live-response");
            return None;
        }
        match own.parse() {
            Ok(label) => Some(label),
            Err(error) => {
                let error: ditto_protocol::ProtocolError = error;
                self.error(
                    &pointer,
                    INVALID,
                    error.message(),
                    "use a shorter name after the connection's id",
                );
                None
            }
        }
    }
}

/// The braces around a mistake of a header's value, and its place in them. What stands beside them may be a secret.
fn expression(value: &str, at: usize) -> (usize, &str) {
    let before = value.get(..at).unwrap_or(value);
    let start = before.rfind("{{").max(before.rfind("${")).unwrap_or(before.len());
    let after = value.get(before.len()..).unwrap_or_default();
    let closing = if value.get(start..).is_some_and(|rest| rest.starts_with("${")) { "}" } else { "}}" };
    let end = after.find(closing).map_or(before.len(), |end| before.len() + end + closing.len());
    (before.len() - start, value.get(start..end).unwrap_or_default())
}

/// Whether a mapped content type asks for a payload in another encoding. Placeholders count: what they resolve to is not
/// known yet (outbound.md §4.2).
fn has_other_charset(content_type: &Template) -> bool {
    let text = content_type.to_string();
    let charset = text.split_once("charset=").map(|(_, charset)| charset.trim_matches('"'));
    charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8"))
}
