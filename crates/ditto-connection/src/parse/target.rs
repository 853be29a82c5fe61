//! Targets (connection-model.md §8, §9).

use std::collections::HashSet;

use ditto_placeholder::{AddressError, KafkaAddress, caret};
use ditto_protocol::AckLabel;

use super::Surroundings;
use super::reader::{Object, Reader};
use crate::members;
use crate::model::Target;
use crate::report::Check;
use crate::subscription::TopicSubscription;
use crate::topic::{FilteredTopic, TopicErrorKind};

const LABEL_INVALID: &str = "acknowledgement:label.invalid";

impl Reader<'_> {
    pub(super) fn targets(&mut self, objects: &[Object<'_>], around: &Surroundings<'_>) -> Vec<Target> {
        let mut targets: Vec<Target> = Vec::new();
        let mut labels = HashSet::new();
        for object in objects {
            let label = self.issued_label(object, around);
            if label.as_ref().is_some_and(|(_, resolved)| !labels.insert(resolved.clone())) {
                let pointer = object.pointer("issuedAcknowledgementLabel");
                let code = "acknowledgement:label.not.unique";
                let reason = "another target issues the same acknowledgement label";
                self.error(Check::UniqueLabels, &pointer, code, reason, "give each target its own");
            }
            targets.extend(self.target(object, label, around));
        }
        targets
    }

    /// `None` if the address is refused; other findings leave a target to go on with.
    fn target(
        &mut self,
        object: &Object<'_>,
        issued_acknowledgement_label: Option<(AckLabel, AckLabel)>,
        around: &Surroundings<'_>,
    ) -> Option<Target> {
        self.known(object, &members::TARGET);
        let topics = self.topics(object);
        let address = object.get("address").and_then(|it| it.as_str()).unwrap_or_default();
        let authorization_context = self.authorization_context(object, address);
        let headers = self.header_mapping(Check::Targets, object);
        let payload_mapping = self.payload_mapping(object, around);
        if object.get("topics").and_then(|it| it.as_array()).is_none_or(Vec::is_empty) {
            let reason = "the target has no `topics`: no signal goes there";
            self.warning(&object.pointer("topics"), reason, "add some, such as _/_/things/twin/events");
        }
        let qos = self.int(object, "qos");
        if qos.is_some() {
            self.note(&object.pointer("qos"), "`qos` of a target has no effect", "remove it");
        }
        let (address_text, address) = self.address(object)?;
        Some(Target {
            address,
            address_text,
            topics,
            qos,
            authorization_context,
            headers,
            payload_mapping,
            issued_acknowledgement_label,
        })
    }

    fn address(&mut self, object: &Object<'_>) -> Option<(String, KafkaAddress)> {
        let text = self.required_text(object, "address")?;
        let pointer = object.pointer("address");
        if text.is_empty() {
            self.invalid(Check::Addresses, &pointer, "the address is empty", "write the topic of kafka");
            return None;
        }
        match text.parse::<KafkaAddress>() {
            Ok(address) => Some((text.to_owned(), address)),
            Err(error) => {
                let remedy = match error {
                    AddressError::Template(_) | AddressError::Function(_) => "mend the placeholder",
                    AddressError::Unresolved => "add a function such as fn:default('other') at the end",
                    _ => "write topic, topic/key or topic#partition",
                };
                let reason = format!("the address is refused: {error}");
                self.error(Check::Targets, &pointer, error.code(), reason, remedy);
                self.show(Some(error.caret(text)));
                None
            }
        }
    }

    fn topics(&mut self, object: &Object<'_>) -> Vec<TopicSubscription> {
        let at = object.pointer("topics");
        let mut topics = Vec::new();
        let mut seen = HashSet::new();
        for (n, text) in self.texts(object, "topics") {
            let pointer = format!("{at}/{n}");
            let topic = text.parse::<FilteredTopic>();
            if topic.as_ref().is_ok_and(|topic| !seen.insert(topic.clone())) {
                continue;
            }
            match topic.and_then(TopicSubscription::try_from) {
                Ok(topic) => topics.push(topic),
                Err(error) => {
                    let check = match error.kind() {
                        TopicErrorKind::Filter(_) => Check::Addresses,
                        TopicErrorKind::Placeholder(_) => Check::Targets,
                        _ => Check::Read,
                    };
                    let (at, value) = error.place(text);
                    let reason = error.kind().to_string();
                    self.error(check, &pointer, error.code(), reason, &error.remedy());
                    self.show(Some(caret(value, at)));
                }
            }
        }
        topics
    }

    fn issued_label(
        &mut self,
        object: &Object<'_>,
        around: &Surroundings<'_>,
    ) -> Option<(AckLabel, AckLabel)> {
        let pointer = object.pointer("issuedAcknowledgementLabel");
        let text = self.text(object, "issuedAcknowledgementLabel")?;
        let (given, resolved) = self.label(&pointer, text, around)?;
        let id = around.id?;
        if resolved.as_str() != "live-response" && !resolved.as_str().starts_with(&format!("{id}:")) {
            self.foreign_label(&pointer, &resolved);
            return None;
        }
        Some((given, resolved))
    }

    /// A label as it was given, and with the id of the connection in it.
    pub(super) fn label(
        &mut self,
        pointer: &str,
        text: &str,
        around: &Surroundings<'_>,
    ) -> Option<(AckLabel, AckLabel)> {
        let given: AckLabel = match text.parse() {
            Ok(label) => label,
            Err(error) => {
                let error: ditto_protocol::ProtocolError = error;
                let remedy = "write {{connection:id}}: and a name of at least 3 characters";
                self.error(Check::Read, pointer, LABEL_INVALID, error.message(), remedy);
                return None;
            }
        };
        let id = around.id?;
        let resolved = match text.split_once("}}:") {
            Some((placeholder, name)) if placeholder.trim_start_matches('{').trim() == "connection:id" => {
                format!("{id}:{name}")
            }
            _ => return Some((given.clone(), given)),
        };
        match resolved.parse() {
            Ok(resolved) => Some((given, resolved)),
            Err(error) => {
                let error: ditto_protocol::ProtocolError = error;
                let remedy = "use a shorter name after the connection's id";
                self.error(Check::Labels, pointer, LABEL_INVALID, error.message(), remedy);
                None
            }
        }
    }

    pub(super) fn foreign_label(&mut self, pointer: &str, label: &AckLabel) {
        let reason = format!("label `{label}` does not start with the id of the connection");
        let remedy = "write {{connection:id}}: before it; a target may have live-response too";
        self.error(Check::Labels, pointer, LABEL_INVALID, reason, remedy);
    }
}
