//! From JSON to the model, with all findings at once. Members are read in the order in which the reference reads them, and
//! each finding knows its check, so that the first one is the reference's (connection-model.md §11).

mod credentials;
mod headers;
mod kafka;
mod mapping;
mod reader;
mod source;
mod target;

use std::collections::HashSet;

use ditto_protocol::{ConnectionId, TargetTopic, parse_instant};
use secrecy::ExposeSecret;
use serde_json::Value;

use self::reader::{JSON_INVALID, Object, Reader, URI_INVALID, did_you_mean, shorten};
use crate::credentials::ConnectionCredentials;
use crate::draft::{Draft, Origin};
use crate::mapper::MappingDefinition;
use crate::members;
use crate::model::{Connection, ConnectionStatus, is_set};
use crate::pem;
use crate::position::Position;
use crate::report::{Check, Finding, Severity, ValidationReport};
use crate::secret::MASK;
use crate::uri::{ConnectionUri, UriScheme};

/// Sources that a connection may have, and targets (connection-model.md §10).
const MAX_SOURCES: usize = 4;
const MAX_TARGETS: usize = 4;

pub(crate) fn connection(draft: Draft<'_>) -> Result<Connection, ValidationReport> {
    let mut reader =
        Reader { draft, base: "", report: ValidationReport::default(), checked_mappers: HashSet::new() };
    let document: Value = match serde_json::from_str(draft.text) {
        Ok(document) => document,
        Err(error) => return Err(no_json(draft.text, &error)),
    };
    let mut definition = &document;
    if let (Origin::File, Some(command)) = (draft.origin, document.get("piggybackCommand")) {
        reader.base = "/piggybackCommand/connection";
        definition = command.get("connection").unwrap_or(&Value::Null);
    }
    let Value::Object(members) = definition else {
        let code = match draft.origin {
            Origin::Command => "json.format.invalid",
            _ => JSON_INVALID,
        };
        reader.error(Check::Syntax, "", code, "a connection is a json object", "put it in braces");
        return Err(reader.report);
    };
    let connection = reader.connection(&Object { members, at: String::new() });
    match connection {
        Some(mut connection) if !reader.report.has_errors() => {
            connection.findings = reader.report.into_findings();
            Ok(connection)
        }
        _ => Err(reader.report),
    }
}

fn no_json(text: &str, error: &serde_json::Error) -> ValidationReport {
    let mut report = ValidationReport::default();
    report.push(Finding {
        severity: Severity::Error,
        check: Check::Syntax,
        pointer: String::new(),
        position: Some(Position { line: error.line(), column: error.column().max(1) }),
        code: if text.is_empty() { "json.format.invalid" } else { JSON_INVALID },
        reason: format!("this is no json: {error}"),
        remedy: "mend the syntax at this place".to_owned(),
        excerpt: None,
    });
    report
}

/// What sources and targets need to know of their connection.
struct Surroundings<'c> {
    id: Option<&'c ConnectionId>,
    definitions: &'c [MappingDefinition],
    /// Whether each has the mapper of `mappingContext` too.
    is_migrated: bool,
}

impl Reader<'_> {
    fn connection(&mut self, root: &Object<'_>) -> Option<Connection> {
        self.known(root, &members::CONNECTION);
        self.kind(root);
        let (mapping_definitions, is_migrated) = self.mapping_definitions(root);
        let id = self.id(root);
        let status = self.status(root);
        let uri_text = self.required_text(root, "uri");
        let surroundings = Surroundings { id: id.as_ref(), definitions: &mapping_definitions, is_migrated };
        let (source_objects, target_objects) = (self.objects(root, "sources"), self.objects(root, "targets"));
        let sources = self.sources(&source_objects, &surroundings);
        let targets = self.targets(&target_objects, &surroundings);
        let name = self.text(root, "name").map(str::to_owned);
        let specific_config = self.any_map(root, "specificConfig");
        if let Some(Value::Object(members)) = root.get("specificConfig") {
            self.known(&Object { members, at: root.pointer("specificConfig") }, &members::SPECIFIC_CONFIG);
        }
        let tags = unique(self.some_texts(root, "tags"));
        self.server_members(root);
        let credentials = self.credentials(root);
        let client_count = self.count(root, "clientCount").unwrap_or(1);
        let failover_enabled = self.flag(root, "failoverEnabled").unwrap_or(true);
        let validate_certificates = self.flag(root, "validateCertificates").unwrap_or(true);
        let processor_pool_size = self.count(root, "processorPoolSize").unwrap_or(1);
        let ca = self.text(root, "ca").filter(|ca| !ca.trim().is_empty());
        let is_tunnelled = self.ssh_tunnel(root);

        self.is_anything_served(&source_objects, &target_objects);
        if client_count > 1 {
            self.announcements(&target_objects);
        }
        let uri = uri_text.and_then(|text| self.uri(text));
        self.certificates(ca, credentials.as_ref());
        if is_tunnelled {
            let reason = "kafka connections cannot be tunnelled";
            self.invalid(Check::Tunnel, "/sshTunnel", reason, "remove `sshTunnel`");
        }
        self.diversion(&source_objects, &target_objects, &specific_config, id.as_ref());
        if ca.is_some() && uri.as_ref().is_some_and(|uri| uri.scheme == UriScheme::Tcp) {
            let reason = "`ca` is given, but the uri is not encrypted";
            self.error(Check::Scheme, "/ca", URI_INVALID, reason, "write ssl:// in the uri or remove `ca`");
        }
        let sasl_mechanism = self.sasl_mechanism(&specific_config, uri.as_ref());
        let bootstrap_servers = self.bootstrap_servers(&specific_config, uri.as_ref());
        self.kept_password(uri_text, uri.as_ref(), &bootstrap_servers);
        self.consumers(&specific_config, id.as_ref(), !source_objects.is_empty());
        let connection = Connection {
            id: id?,
            name,
            status: status?,
            uri: uri?,
            sources,
            targets,
            client_count,
            failover_enabled,
            validate_certificates,
            processor_pool_size,
            specific_config,
            mapping_definitions,
            credentials,
            ca: ca.map(str::to_owned),
            tags,
            bootstrap_servers,
            sasl_mechanism,
            findings: Vec::new(),
        };
        self.without_effect(&connection);
        self.unnamed_mappers(&connection.mapping_definitions, is_migrated);
        Some(connection)
    }

    fn kind(&mut self, root: &Object<'_>) {
        let Some(kind) = self.required_text(root, "connectionType") else { return };
        if kind == "kafka" {
            return;
        }
        if members::TYPES.contains(&kind) {
            let reason = format!("connection type `{kind}` is not served here");
            let remedy = "this service serves kafka; leave the others to ditto";
            self.invalid(Check::Read, "/connectionType", reason, remedy);
            return;
        }
        let reason = format!("there is no connection type `{}`", shorten(kind));
        let remedy = did_you_mean(kind, &members::TYPES);
        self.error(Check::Read, "/connectionType", JSON_INVALID, reason, &remedy);
    }

    fn id(&mut self, root: &Object<'_>) -> Option<ConnectionId> {
        const NOT_SETTABLE: &str = "connectivity:id.notsettable";
        match self.draft.origin {
            Origin::Post(id) => {
                if root.members.contains_key("id") {
                    let reason = "the id of a new connection is chosen by the service";
                    self.error(
                        Check::Request,
                        "/id",
                        NOT_SETTABLE,
                        reason,
                        "remove `id`, or PUT to its path",
                    );
                }
                return Some(id.clone());
            }
            Origin::Put(id) => {
                let is_null = root.members.get("id").is_some_and(Value::is_null);
                if is_null || self.text(root, "id").is_some_and(|text| text != id.as_str()) {
                    let reason = format!("the id is not that of the path, `{id}`");
                    self.error(
                        Check::Request,
                        "/id",
                        NOT_SETTABLE,
                        reason,
                        "remove `id`, or PUT to its path",
                    );
                }
                return Some(id.clone());
            }
            Origin::DryRun(id) if root.get("id").is_none() => return Some(id.clone()),
            Origin::File | Origin::Command | Origin::DryRun(_) => {}
        }
        let text = self.required_text(root, "id")?;
        match text.parse() {
            Ok(id) => Some(id),
            Err(error) => {
                let error: ditto_protocol::ProtocolError = error;
                self.error(Check::Read, "/id", error.code().name(), error.message(), "rename the connection");
                None
            }
        }
    }

    fn status(&mut self, root: &Object<'_>) -> Option<ConnectionStatus> {
        let text = match self.draft.origin {
            Origin::Post(_) if root.get("connectionStatus").is_none() => {
                return Some(ConnectionStatus::Unknown);
            }
            _ => self.required_text(root, "connectionStatus")?,
        };
        let status = ConnectionStatus::ALL.into_iter().find(|status| status.as_str() == text);
        if status.is_none() {
            let reason = format!("there is no status `{}`", shorten(text));
            let remedy = did_you_mean(text, &members::STATUSES);
            self.error(Check::Read, "/connectionStatus", JSON_INVALID, reason, &remedy);
        }
        status
    }

    /// What the server says of a stored connection: looked at, and dropped.
    fn server_members(&mut self, root: &Object<'_>) {
        self.text(root, "__lifecycle");
        if root.get("_revision").is_some_and(|revision| !revision.is_number()) {
            let reason = "`_revision` is no number";
            self.error(Check::Read, "/_revision", JSON_INVALID, reason, "remove it: the service counts");
        }
        for name in ["_modified", "_created"] {
            if self.text(root, name).is_some_and(|text| parse_instant(text).is_none()) {
                let reason = format!("`{name}` is no instant in ISO 8601");
                let remedy = "remove it: the service knows when it was";
                self.error(Check::Read, &root.pointer(name), JSON_INVALID, reason, remedy);
            }
        }
    }

    fn is_anything_served(&mut self, sources: &[Object<'_>], targets: &[Object<'_>]) {
        if sources.is_empty() && targets.is_empty() {
            let reason = "the connection has neither a source nor a target";
            self.invalid(Check::Served, "/sources", reason, "add one to `targets`");
        }
        for (name, found, most) in [("sources", sources, MAX_SOURCES), ("targets", targets, MAX_TARGETS)] {
            if found.len() > most {
                let reason = format!("{} {name} are more than {most}", found.len());
                let remedy = "spread them over several connections";
                self.invalid(Check::Limits, &format!("/{name}"), reason, remedy);
            }
        }
    }

    fn announcements(&mut self, targets: &[Object<'_>]) {
        let announced = TargetTopic::ConnectionAnnouncements.as_str();
        let topics = targets.iter().filter_map(|target| target.get("topics")?.as_array()).flatten();
        let mut bases = topics.filter_map(|topic| topic.as_str()?.split('?').next());
        if bases.any(|base| base == announced) {
            let reason = format!("topic `{announced}` needs a client count of 1");
            self.invalid(Check::Announcements, "/clientCount", reason, "set `clientCount` to 1");
        }
    }

    fn uri(&mut self, text: &str) -> Option<ConnectionUri> {
        let uri = match ConnectionUri::parse(text) {
            Ok(uri) => uri,
            Err(error) => {
                // The text is not repeated: it may hold a password.
                let reason = format!("the uri is refused: {}", error.reason);
                self.error(error.check, "/uri", URI_INVALID, reason, error.remedy);
                return None;
            }
        };
        if !uri.is_masked() {
            return Some(uri);
        }
        let unmasked = self.draft.stored.and_then(|stored| uri.with_password_of(&stored.uri));
        if unmasked.is_none() {
            self.masked("/uri");
        }
        unmasked
    }

    /// A password that is kept goes to no other server than before, nor there in the clear: who may change a connection could
    /// have it sent to them.
    fn kept_password(&mut self, text: Option<&str>, uri: Option<&ConnectionUri>, servers: &[String]) {
        let is_masked =
            text.and_then(|text| ConnectionUri::parse(text).ok()).is_some_and(|it| it.is_masked());
        let (true, Some(uri), Some(stored)) = (is_masked, uri, self.draft.stored) else { return };
        let others = servers.iter().filter(|server| !stored.bootstrap_servers.contains(server));
        let others: Vec<_> = others.map(String::as_str).collect();
        let reason = if !others.is_empty() {
            format!("`{MASK}` stands for the password of other servers than {}", others.join(", "))
        } else if uri.scheme == UriScheme::Tcp && stored.uri.scheme == UriScheme::Ssl {
            format!("`{MASK}` stands for a password that was sent encrypted only")
        } else {
            return;
        };
        self.invalid(Check::Own, "/uri", reason, "write the password itself");
    }

    /// A mask that no stored secret can take the place of.
    fn masked(&mut self, pointer: &str) {
        let reason = format!("`{MASK}` stands for a secret, and there is none that it could stand for");
        self.invalid(Check::Own, pointer, reason, "write the secret itself");
    }

    fn certificates(&mut self, ca: Option<&str>, credentials: Option<&ConnectionCredentials>) {
        const CERTIFICATE: &str = "paste the whole file, from -----BEGIN CERTIFICATE----- on";
        if ca.is_some_and(|ca| !pem::is_certificates(ca)) {
            self.invalid(Check::Certificates, "/ca", "`ca` is no certificate in pem", CERTIFICATE);
        }
        let Some(ConnectionCredentials::ClientCertificate { certificate: Some(certificate), key: Some(key) }) =
            credentials
        else {
            return;
        };
        if !pem::is_private_key(key.expose_secret()) {
            let reason = "`key` is no private key in pem";
            let remedy = "write it as pkcs #8 without password: openssl pkcs8 -topk8 -nocrypt";
            self.invalid(Check::Certificates, "/credentials/key", reason, remedy);
        }
        if !pem::is_certificates(certificate) {
            let reason = "`cert` is no certificate in pem";
            self.invalid(Check::Certificates, "/credentials/cert", reason, CERTIFICATE);
        }
    }

    /// What is accepted as the reference does, and does nothing.
    fn without_effect(&mut self, connection: &Connection) {
        let is_tls = connection.uri.scheme == UriScheme::Ssl;
        if !connection.validate_certificates && is_tls {
            let reason = "`validateCertificates` is false: certificates are validated all the same";
            let remedy = "give the broker's authority in `ca` and leave this out";
            self.warning("/validateCertificates", reason, remedy);
        } else if !connection.validate_certificates {
            let reason = "`validateCertificates` has no effect without tls";
            self.note("/validateCertificates", reason, "remove it, or write ssl:// in the uri");
        }
        if connection.uri.has_rest() {
            let reason = "what follows the port of the uri has no effect";
            self.note("/uri", reason, "end the uri with the port");
        }
        if connection.specific("debugEnabled").is_some_and(|value| !is_flag(value)) {
            let reason = "`debugEnabled` is neither true nor false, and counts as false";
            self.note("/specificConfig/debugEnabled", reason, "write true or false");
        }
        if !connection.failover_enabled {
            let reason = "`failoverEnabled` is false: failed connections are retried all the same";
            self.warning("/failoverEnabled", reason, "remove it");
        }
        if connection.client_count > 1 {
            let reason = "`clientCount` has no effect: one client serves the connection";
            self.note("/clientCount", reason, "leave it out");
        }
        if connection.processor_pool_size > 1 {
            let reason = "`processorPoolSize` has no effect: mapping keeps the order of signals";
            self.note("/processorPoolSize", reason, "leave it out");
        }
        if let Some(credentials) = &connection.credentials
            && connection.client_certificate().is_none()
        {
            let reason = format!("these credentials of type {} have no effect", credentials.kind());
            let remedy = match credentials {
                ConnectionCredentials::ClientCertificate { .. } => {
                    "give `cert` and `key`, and a uri with ssl"
                }
                _ => "put user and password into the uri",
            };
            self.warning("/credentials", reason, remedy);
        }
        if connection.sources.iter().any(|source| source.consumer_count > 0) {
            let reason = "this version does not consume sources: only targets run";
            self.warning("/sources", reason, "let ditto's own service keep consuming them");
        }
        if is_set(connection.specific("is-diversion-target")) {
            let remedy = "let a connection that ditto serves take them";
            self.not_served("/specificConfig/is-diversion-target", "diverted responses are", remedy);
        }
    }
}

/// Whether a value of `specificConfig` is one of two.
fn is_flag(value: &str) -> bool {
    ["true", "false"].iter().any(|known| known.eq_ignore_ascii_case(value))
}

/// Each text once, in order.
fn unique(texts: Vec<(usize, &str)>) -> Vec<String> {
    let mut seen = HashSet::new();
    texts.into_iter().map(|(_, text)| text).filter(|text| seen.insert(*text)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
