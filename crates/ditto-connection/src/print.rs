//! The canonical form: members in the order of the reference, defaults filled in (connection-model.md §1).

use serde_json::{Map, Value, json};

use crate::credentials::ConnectionCredentials;
use crate::mapper::MappingDefinition;
use crate::model::{Connection, Target};
use crate::secret::Secrets;
use crate::source::{ReplyTarget, Source};

type Members = Map<String, Value>;

pub(crate) fn connection(connection: &Connection, secrets: Secrets) -> Value {
    let uri = match secrets {
        Secrets::Clear => connection.uri.text_with_secrets().to_owned(),
        Secrets::Masked => connection.uri.to_string(),
    };
    let mut members = Members::new();
    put(&mut members, "id", connection.id.as_str());
    put(&mut members, "name", connection.name.clone());
    put(&mut members, "connectionType", "kafka");
    put(&mut members, "connectionStatus", connection.status.as_str());
    put(&mut members, "uri", uri);
    put(&mut members, "sources", connection.sources.iter().map(source).collect::<Vec<_>>());
    put(&mut members, "targets", connection.targets.iter().map(target).collect::<Vec<_>>());
    put(&mut members, "clientCount", connection.client_count);
    put(&mut members, "failoverEnabled", connection.failover_enabled);
    put(&mut members, "validateCertificates", connection.validate_certificates);
    put(&mut members, "processorPoolSize", connection.processor_pool_size);
    if !connection.specific_config.is_empty() {
        put(&mut members, "specificConfig", texts(&connection.specific_config));
    }
    if !connection.mapping_definitions.is_empty() {
        let definitions = connection.mapping_definitions.iter().map(|it| (it.id.clone(), definition(it)));
        put(&mut members, "mappingDefinitions", definitions.collect::<Members>());
    }
    if let Some(it) = &connection.credentials {
        put(&mut members, "credentials", credentials(it, secrets));
    }
    if let Some(ca) = &connection.ca {
        put(&mut members, "ca", ca.as_str());
    }
    put(&mut members, "tags", connection.tags.as_slice());
    members.into()
}

fn source(source: &Source) -> Value {
    let mut members = Members::new();
    put(&mut members, "addresses", source.addresses.as_slice());
    put(&mut members, "consumerCount", source.consumer_count);
    if let Some(qos) = source.qos {
        put(&mut members, "qos", qos);
    }
    put(&mut members, "authorizationContext", source.authorization_context.as_slice());
    if let Some(enforcement) = &source.enforcement {
        let filters: Vec<_> = enforcement.filters.iter().map(|(text, _)| text.as_str()).collect();
        put(&mut members, "enforcement", json!({ "input": enforcement.input.0, "filters": filters }));
    }
    if let Some(requests) = &source.acknowledgement_requests {
        let includes: Vec<_> = requests.includes.iter().map(|label| label.as_str()).collect();
        let mut requested = Members::new();
        put(&mut requested, "includes", includes);
        if let Some(filter) = &requests.filter {
            put(&mut requested, "filter", filter.as_str());
        }
        put(&mut members, "acknowledgementRequests", requested);
    }
    put(&mut members, "headerMapping", texts(&source.headers.texts));
    put_list(&mut members, "payloadMapping", &source.payload_mapping);
    put(&mut members, "replyTarget", reply_target(&source.reply_target));
    let declared: Vec<String> = source.declared_acks.iter().map(|(given, _)| given.to_string()).collect();
    put_list(&mut members, "declaredAcks", &declared);
    members.into()
}

fn reply_target(target: &ReplyTarget) -> Members {
    let mut members = Members::new();
    if let Some(destination) = &target.destination {
        put(&mut members, "address", destination.address.as_str());
        put(&mut members, "headerMapping", texts(&destination.header_mapping));
        let types: Vec<_> = destination.expected_response_types.iter().map(|it| it.as_str()).collect();
        put(&mut members, "expectedResponseTypes", types);
    }
    put(&mut members, "enabled", target.is_enabled);
    members
}

fn target(target: &Target) -> Value {
    let mut members = Members::new();
    put(&mut members, "address", target.address_text.as_str());
    let topics: Vec<_> = target.topics.iter().map(|topic| topic.filtered().to_definition()).collect();
    put(&mut members, "topics", topics);
    if let Some(qos) = target.qos {
        put(&mut members, "qos", qos);
    }
    put(&mut members, "authorizationContext", target.authorization_context.as_slice());
    if let Some((given, _)) = &target.issued_acknowledgement_label {
        put(&mut members, "issuedAcknowledgementLabel", given.as_str());
    }
    put(&mut members, "headerMapping", texts(&target.headers.texts));
    put_list(&mut members, "payloadMapping", &target.payload_mapping);
    members.into()
}

fn definition(definition: &MappingDefinition) -> Value {
    let mut members = Members::new();
    put(&mut members, "mappingEngine", definition.engine.as_str());
    put(&mut members, "options", definition.options.clone());
    for (name, conditions) in [
        ("incomingConditions", &definition.incoming_conditions),
        ("outgoingConditions", &definition.outgoing_conditions),
    ] {
        if !conditions.is_empty() {
            put(&mut members, name, texts(conditions));
        }
    }
    members.into()
}

fn credentials(credentials: &ConnectionCredentials, secrets: Secrets) -> Members {
    let mut members = Members::new();
    put(&mut members, "type", credentials.kind());
    match credentials {
        ConnectionCredentials::ClientCertificate { certificate, key } => {
            put(&mut members, "cert", certificate.clone());
            put(&mut members, "key", key.as_ref().map(|key| secrets.show(key)));
        }
        ConnectionCredentials::Plain { username, password } => {
            put(&mut members, "username", username.as_str());
            put(&mut members, "password", secrets.show(password));
        }
        ConnectionCredentials::PublicKey { username, public_key, private_key } => {
            put(&mut members, "username", username.as_str());
            put(&mut members, "publicKey", public_key.as_str());
            put(&mut members, "privateKey", secrets.show(private_key));
        }
    }
    members
}

fn put(members: &mut Members, name: &str, value: impl Into<Value>) {
    members.insert(name.to_owned(), value.into());
}

/// Unless it is empty.
fn put_list(members: &mut Members, name: &str, list: &[String]) {
    if !list.is_empty() {
        put(members, name, list);
    }
}

fn texts(pairs: &[(String, String)]) -> Members {
    pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect()
}
