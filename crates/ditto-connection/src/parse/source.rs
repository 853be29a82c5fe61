//! Sources (connection-model.md §5).

use std::collections::HashSet;

use ditto_placeholder::Scope;
use ditto_protocol::AckLabel;

use super::reader::{Object, Reader, did_you_mean, shorten};
use super::{Surroundings, unique};
use crate::members;
use crate::model::HeaderMapping;
use crate::report::Check;
use crate::source::{
    AcknowledgementRequests, DEFAULT_REPLY_ADDRESS, DEFAULT_REPLY_HEADERS, DEFAULT_RESPONSE_TYPES,
    DEFAULT_SOURCE_HEADERS, Enforcement, ReplyDestination, ReplyTarget, ResponseType, Source,
};

impl Reader<'_> {
    pub(super) fn sources(&mut self, objects: &[Object<'_>], around: &Surroundings<'_>) -> Vec<Source> {
        objects.iter().filter_map(|object| self.source(object, around)).collect()
    }

    fn source(&mut self, object: &Object<'_>, around: &Surroundings<'_>) -> Option<Source> {
        self.known(object, &members::SOURCE);
        let addresses = self.texts(object, "addresses");
        let consumer_count = self.int(object, "consumerCount").unwrap_or(1);
        let qos = self.int(object, "qos");
        let named = addresses.iter().map(|(_, address)| *address).collect::<Vec<_>>().join(", ");
        let authorization_context = self.authorization_context(object, &named);
        let enforcement = self.enforcement(object);
        let acknowledgement_requests = self.acknowledgement_requests(object);
        let mut headers = self.header_mapping(Check::Sources, object);
        let payload_mapping = self.payload_mapping(object, around);
        let reply_target = self.reply_target(object, &mut headers);
        let declared_acks = self.declared_acks(object, around);
        self.addresses(object, &addresses);
        if qos.is_some_and(|qos| !(0..=1).contains(&qos)) {
            let reason = format!("`qos` is {}, which is neither 0 nor 1", qos.unwrap_or_default());
            self.invalid(
                Check::Sources,
                &object.pointer("qos"),
                reason,
                "write 1 to commit what is acknowledged",
            );
        }
        if consumer_count < 1 {
            let reason = "`consumerCount` is less than 1: nobody consumes";
            self.warning(&object.pointer("consumerCount"), reason, "leave it out or write 1");
        }
        Some(Source {
            addresses: unique(addresses),
            consumer_count,
            qos,
            authorization_context,
            enforcement: enforcement?,
            acknowledgement_requests,
            headers,
            payload_mapping,
            reply_target,
            declared_acks,
        })
    }

    fn addresses(&mut self, object: &Object<'_>, addresses: &[(usize, &str)]) {
        let at = object.pointer("addresses");
        if addresses.is_empty() {
            let reason = "the source has no address";
            self.invalid(Check::Addresses, &at, reason, "name at least one topic of kafka");
        }
        for (n, address) in addresses {
            let pointer = format!("{at}/{n}");
            if address.is_empty() {
                self.invalid(Check::Addresses, &pointer, "this address is empty", "remove it");
            } else if !is_topic(address) {
                let reason = format!("`{}` is no topic of kafka", shorten(address));
                let remedy = "use 1 to 249 of A-Z a-z 0-9 . _ -, without placeholders";
                self.invalid(Check::Sources, &pointer, reason, remedy);
            }
        }
    }

    /// The subjects that a source or target acts for; what is none is dropped, as in the reference.
    pub(super) fn authorization_context(&mut self, object: &Object<'_>, addresses: &str) -> Vec<String> {
        let at = object.pointer("authorizationContext");
        let subjects = self.some_texts(object, "authorizationContext");
        if subjects.is_empty() {
            let reason = format!("`authorizationContext` of `{}` names no subject", shorten(addresses));
            let remedy = "add the subjects that may read, such as integration:my-team";
            self.invalid(Check::Subjects, &at, reason, remedy);
        }
        for (n, _) in subjects.iter().filter(|(_, subject)| subject.is_empty()) {
            // The reference breaks there.
            self.invalid(Check::Read, &format!("{at}/{n}"), "a subject is empty", "remove it");
        }
        subjects.into_iter().map(|(_, subject)| subject.to_owned()).collect()
    }

    /// The inner `None` is a source that has none.
    fn enforcement(&mut self, source: &Object<'_>) -> Option<Option<Enforcement>> {
        if source.get("enforcement").is_none() {
            return Some(None);
        }
        let object = self.object(source, "enforcement")?;
        self.known(&object, &members::ENFORCEMENT);
        let filters = self.texts(&object, "filters");
        let input = self.required_text(&object, "input");
        let at = object.pointer("input");
        let input = input.and_then(|text| {
            let template = self.template(Check::Sources, &at, text, Scope::EnforcementInput)?;
            Some((text.to_owned(), template))
        });
        let mut read = Vec::new();
        let mut seen = HashSet::new();
        for (n, text) in filters.into_iter().filter(|(_, text)| seen.insert(*text)) {
            let at = format!("{}/{n}", object.pointer("filters"));
            let template = self.template(Check::Sources, &at, text, Scope::EnforcementFilter);
            read.extend(template.map(|template| (text.to_owned(), template)));
        }
        Some(Some(Enforcement { input: input?, filters: read }))
    }

    fn acknowledgement_requests(&mut self, source: &Object<'_>) -> Option<AcknowledgementRequests> {
        let object = self.object(source, "acknowledgementRequests")?;
        self.known(&object, &members::ACKNOWLEDGEMENT_REQUESTS);
        let mut includes: Vec<AckLabel> = Vec::new();
        for (n, text) in self.some_texts(&object, "includes") {
            match text.parse::<AckLabel>() {
                Ok(label) if includes.contains(&label) => {}
                Ok(label) => includes.push(label),
                Err(error) => {
                    let pointer = format!("{}/{n}", object.pointer("includes"));
                    let code = "acknowledgement:request.parsing.failed";
                    self.error(
                        Check::Read,
                        &pointer,
                        code,
                        error.message(),
                        "write a label, such as twin-persisted",
                    );
                }
            }
        }
        let filter = self.text(&object, "filter").map(str::to_owned);
        Some(AcknowledgementRequests { includes, filter })
    }

    /// Where answers go. A source that does not say so gets the reference's default, and headers for it.
    fn reply_target(&mut self, source: &Object<'_>, headers: &mut HeaderMapping) -> ReplyTarget {
        let object = self.object(source, "replyTarget");
        let mut is_enabled = true;
        let mut destination = None;
        if let Some(object) = &object {
            self.known(object, &members::REPLY_TARGET);
            is_enabled = self.flag(object, "enabled").unwrap_or(true);
            destination = self.reply_destination(object);
        }
        if is_enabled && destination.is_none() {
            let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            let is_given = |name: &str| headers.texts.iter().any(|(given, _)| given == name);
            let missing: Vec<_> =
                DEFAULT_SOURCE_HEADERS.into_iter().filter(|(name, _)| !is_given(name)).map(owned).collect();
            let templates =
                missing.iter().filter_map(|(name, text)| Some((name.clone(), text.parse().ok()?)));
            headers.templates.extend(templates);
            headers.texts.extend(missing);
            destination = Some(ReplyDestination {
                address: DEFAULT_REPLY_ADDRESS.to_owned(),
                header_mapping: DEFAULT_REPLY_HEADERS.map(owned).to_vec(),
                expected_response_types: DEFAULT_RESPONSE_TYPES.to_vec(),
            });
        }
        ReplyTarget { is_enabled, destination }
    }

    /// Address and headers are not looked into: the reference does not.
    fn reply_destination(&mut self, object: &Object<'_>) -> Option<ReplyDestination> {
        let address = self.text(object, "address")?;
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let header_mapping = self.text_map(object, "headerMapping").into_iter().map(owned).collect();
        let mut types = DEFAULT_RESPONSE_TYPES.to_vec();
        if object.get("expectedResponseTypes").is_some() {
            types.clear();
            for (n, text) in self.texts(object, "expectedResponseTypes") {
                match ResponseType::ALL.into_iter().find(|it| it.as_str() == text) {
                    Some(it) if types.contains(&it) => {}
                    Some(it) => types.push(it),
                    None => {
                        let pointer = format!("{}/{n}", object.pointer("expectedResponseTypes"));
                        let reason = format!("there is no response type `{}`: it is dropped", shorten(text));
                        let known = ResponseType::ALL.map(ResponseType::as_str);
                        self.note(&pointer, reason, &did_you_mean(text, &known));
                    }
                }
            }
        }
        Some(ReplyDestination { address: address.to_owned(), header_mapping, expected_response_types: types })
    }

    /// Each as it was given, and resolved.
    fn declared_acks(&mut self, source: &Object<'_>, around: &Surroundings<'_>) -> Vec<(AckLabel, AckLabel)> {
        let mut declared: Vec<(AckLabel, AckLabel)> = Vec::new();
        for (n, text) in self.texts(source, "declaredAcks") {
            let pointer = format!("{}/{n}", source.pointer("declaredAcks"));
            let Some((given, resolved)) = self.label(&pointer, text, around) else { continue };
            if !resolved.as_str().starts_with(&format!("{}:", around.id.map_or("", |id| id.as_str()))) {
                self.foreign_label(&pointer, &resolved);
            }
            if !declared.iter().any(|(known, _)| *known == given) {
                declared.push((given, resolved));
            }
        }
        declared
    }
}

/// A name that a topic of Kafka may have.
fn is_topic(text: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&text.len()) && text.bytes().all(is_legal) && !matches!(text, "." | "..")
}
