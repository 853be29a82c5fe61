//! From JSON to the model, with all findings at once (connection-model.md §11).

mod target;

use std::collections::HashSet;

use ditto_protocol::ConnectionId;
use serde_json::{Map, Value};

use crate::model::{Connection, ConnectionStatus, SaslMechanism};
use crate::nearest::nearest;
use crate::position::{Position, locate};
use crate::report::{Finding, Severity, ValidationReport};
use crate::uri::{ConnectionUri, UriScheme, port_of};

const JSON_INVALID: &str = "json.invalid";
const FIELD_MISSING: &str = "json.field.missing";
pub(crate) const CONFIGURATION_INVALID: &str = "connectivity:connection.configuration.invalid";
const URI_INVALID: &str = "connectivity:connection.uri.invalid";

/// Targets that a connection may have (connection-model.md §10).
const MAX_TARGETS: usize = 4;

/// Findings that are told with their position: each is looked for in the whole text.
const MAX_LOCATED: usize = 100;

/// A definition being read.
pub(crate) struct Reader<'t> {
    text: &'t str,
    /// Pointer of the connection within the text.
    base: &'static str,
    report: ValidationReport,
}

impl Reader<'_> {
    fn find(&mut self, severity: Severity, pointer: &str, code: &'static str, reason: String, remedy: &str) {
        let pointer = format!("{}{pointer}", self.base);
        let position = (self.report.findings().len() < MAX_LOCATED).then(|| locate(self.text, &pointer));
        let remedy = remedy.to_owned();
        self.report.push(Finding { severity, pointer, position, code, reason, remedy, excerpt: None });
    }

    pub(crate) fn error(
        &mut self,
        pointer: &str,
        code: &'static str,
        reason: impl Into<String>,
        remedy: &str,
    ) {
        self.find(Severity::Error, pointer, code, reason.into(), remedy);
    }

    /// An error in an expression, which is shown with the place of the mistake, if it has one.
    pub(crate) fn error_in(
        &mut self,
        excerpt: Option<String>,
        pointer: &str,
        code: &'static str,
        reason: String,
        remedy: &str,
    ) {
        self.error(pointer, code, reason, remedy);
        self.report.show_last(excerpt);
    }

    fn warning(&mut self, pointer: &str, reason: impl Into<String>, remedy: &str) {
        self.find(Severity::Warning, pointer, CONFIGURATION_INVALID, reason.into(), remedy);
    }

    /// A member that must be a string; `None` if it is absent or wrong, which is then reported.
    pub(crate) fn string<'v>(
        &mut self,
        members: &'v Map<String, Value>,
        at: &str,
        name: &str,
        required: bool,
    ) -> Option<&'v str> {
        let pointer = format!("{at}/{name}");
        match members.get(name) {
            Some(Value::String(text)) => return Some(text),
            None | Some(Value::Null) if required => {
                self.error(at, FIELD_MISSING, format!("member `{name}` is missing"), "add it");
            }
            None | Some(Value::Null) => {}
            Some(_) => {
                self.error(&pointer, JSON_INVALID, format!("`{name}` is not a string"), "put it in quotes")
            }
        }
        None
    }

    /// A member that must be an array of strings, each with its index; what is none is reported.
    pub(crate) fn strings(
        &mut self,
        members: &Map<String, Value>,
        at: &str,
        name: &str,
    ) -> Vec<(usize, String)> {
        match members.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(elements)) => {
                let strings = elements.iter().enumerate().filter_map(|(n, element)| {
                    let text = element.as_str().map(str::to_owned);
                    if text.is_none() {
                        let pointer = format!("{at}/{name}/{n}");
                        self.error(
                            &pointer,
                            JSON_INVALID,
                            "this element is not a string",
                            "put it in quotes",
                        );
                    }
                    text.map(|text| (n, text))
                });
                strings.collect()
            }
            Some(_) => {
                let reason = format!("`{name}` is not an array");
                self.error(&format!("{at}/{name}"), JSON_INVALID, reason, "put the values in brackets");
                Vec::new()
            }
        }
    }

    /// A member that must be a number from 1 on.
    fn count(&mut self, members: &Map<String, Value>, name: &str) {
        let Some(value) = members.get(name).filter(|value| !value.is_null()) else { return };
        let is_count = value.as_u64().is_some_and(|count| count > 0 && i32::try_from(count).is_ok());
        if !is_count {
            let code = if value.is_number() { CONFIGURATION_INVALID } else { JSON_INVALID };
            let reason = format!("`{name}` is no whole number from 1 on");
            self.error(&format!("/{name}"), code, reason, "leave it out or write 1");
        }
    }

    fn boolean(&mut self, members: &Map<String, Value>, name: &str) -> Option<bool> {
        match members.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(value)) => Some(*value),
            Some(_) => {
                self.error(
                    &format!("/{name}"),
                    JSON_INVALID,
                    format!("`{name}` is neither true nor false"),
                    "write true or false without quotes",
                );
                None
            }
        }
    }
}

pub(crate) fn connection(text: &str) -> Result<Connection, ValidationReport> {
    let mut reader = Reader { text, base: "", report: ValidationReport::default() };
    let document: Value = match serde_json::from_str(text) {
        Ok(document) => document,
        Err(error) => {
            reader.report.push(Finding {
                severity: Severity::Error,
                pointer: String::new(),
                position: Some(Position { line: error.line(), column: error.column() }),
                code: JSON_INVALID,
                reason: format!("this is no json: {error}"),
                remedy: "mend the syntax at this place".to_owned(),
                excerpt: None,
            });
            return Err(reader.report);
        }
    };
    let mut definition = &document;
    if let Some(command) = document.get("piggybackCommand") {
        reader.base = "/piggybackCommand/connection";
        definition = command.get("connection").unwrap_or(&Value::Null);
    }
    let Value::Object(members) = definition else {
        reader.error("", JSON_INVALID, "a connection is a json object", "put it in braces");
        return Err(reader.report);
    };
    let connection = reader.connection(members, definition);
    match connection {
        Some(mut connection) if !reader.report.has_errors() => {
            connection.warnings = reader.report.warnings().cloned().collect();
            Ok(connection)
        }
        _ => Err(reader.report),
    }
}

impl Reader<'_> {
    fn connection(&mut self, members: &Map<String, Value>, definition: &Value) -> Option<Connection> {
        let id = self.id(members);
        self.string(members, "", "name", false);
        self.kind(members);
        let status = self.status(members);
        let uri = self.uri(members);
        let specific = match members.get("specificConfig") {
            Some(Value::Object(specific)) => specific.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(_) => {
                self.error(
                    "/specificConfig",
                    JSON_INVALID,
                    "`specificConfig` is not an object",
                    "put it in braces",
                );
                Map::new()
            }
        };
        let bootstrap_servers = self.bootstrap_servers(&specific, uri.as_ref());
        let sasl_mechanism = self.sasl_mechanism(&specific, uri.as_ref());
        let ca = self.ca(members, uri.as_ref());
        self.count(members, "clientCount");
        self.count(members, "processorPoolSize");
        self.unbuilt(members, &specific);
        let targets = self.targets(members, id.as_ref());
        let debug_enabled = is_flag_set(&specific, "debugEnabled");
        Some(Connection {
            id: id?,
            status: status?,
            uri: uri?,
            bootstrap_servers,
            sasl_mechanism,
            debug_enabled,
            ca,
            targets,
            warnings: Vec::new(),
            definition: definition.clone(),
        })
    }

    fn id(&mut self, members: &Map<String, Value>) -> Option<ConnectionId> {
        let text = self.string(members, "", "id", true)?;
        match text.parse() {
            Ok(id) => Some(id),
            Err(error) => {
                let error: ditto_protocol::ProtocolError = error;
                self.error("/id", error.code().name(), error.message(), "rename the connection");
                None
            }
        }
    }

    fn kind(&mut self, members: &Map<String, Value>) {
        const KINDS: [&str; 7] = ["kafka", "amqp-091", "amqp-10", "mqtt", "mqtt-5", "http-push", "hono"];
        let Some(kind) = self.string(members, "", "connectionType", true) else { return };
        if kind == "kafka" {
            return;
        }
        if KINDS.contains(&kind) {
            let reason = format!("connection type `{kind}` is not served here");
            self.error(
                "/connectionType",
                CONFIGURATION_INVALID,
                reason,
                "this service serves kafka; leave the others to ditto",
            );
            return;
        }
        let remedy = match nearest(kind, KINDS) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => "write kafka".to_owned(),
        };
        self.error("/connectionType", JSON_INVALID, format!("there is no connection type `{kind}`"), &remedy);
    }

    fn status(&mut self, members: &Map<String, Value>) -> Option<ConnectionStatus> {
        const STATUSES: [&str; 5] = ["open", "closed", "failed", "misconfigured", "unknown"];
        match self.string(members, "", "connectionStatus", true)? {
            "open" => Some(ConnectionStatus::Open),
            status if STATUSES.contains(&status) => Some(ConnectionStatus::Closed),
            status => {
                let remedy = match nearest(status, STATUSES) {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => format!("use one of {}", STATUSES.join(", ")),
                };
                self.error(
                    "/connectionStatus",
                    JSON_INVALID,
                    format!("there is no status `{status}`"),
                    &remedy,
                );
                None
            }
        }
    }

    fn uri(&mut self, members: &Map<String, Value>) -> Option<ConnectionUri> {
        let text = self.string(members, "", "uri", true)?;
        match ConnectionUri::parse(text) {
            Ok(uri) => Some(uri),
            Err(error) => {
                // The text is not repeated: it may hold a password.
                self.error(
                    "/uri",
                    URI_INVALID,
                    format!("the uri is refused: {}", error.reason),
                    error.remedy,
                );
                None
            }
        }
    }

    /// Split at commas and blanks, empty entries ignored (design §8); the uri's address is always among them.
    fn bootstrap_servers(
        &mut self,
        specific: &Map<String, Value>,
        uri: Option<&ConnectionUri>,
    ) -> Vec<String> {
        let mut servers: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        let listed = match specific.get("bootstrapServers") {
            Some(value) => plain_text(value),
            None => {
                let remedy = "add the brokers as host:port, separated by commas";
                self.error("/specificConfig", CONFIGURATION_INVALID, "`bootstrapServers` is missing", remedy);
                return servers;
            }
        };
        for entry in listed.split([',', ' ', '\t', '\n', '\r']).filter(|entry| !entry.is_empty()) {
            let legal = entry.rsplit_once(':').is_some_and(|(host, port)| {
                let label = |label: &str| {
                    !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                };
                host.strip_suffix('.').unwrap_or(host).split('.').all(label) && port_of(port).is_some()
            });
            if !legal {
                let reason = format!("`{entry}` is no broker address");
                self.error(
                    "/specificConfig/bootstrapServers",
                    CONFIGURATION_INVALID,
                    reason,
                    "write host:port with a port from 1 to 65535",
                );
            } else if seen.insert(entry) {
                servers.push(entry.to_owned());
            }
        }
        if let Some(address) = uri.map(ConnectionUri::address)
            && !servers.contains(&address)
        {
            servers.push(address);
        }
        servers
    }

    fn sasl_mechanism(
        &mut self,
        specific: &Map<String, Value>,
        uri: Option<&ConnectionUri>,
    ) -> SaslMechanism {
        const MECHANISMS: [&str; 3] = ["plain", "scram-sha-256", "scram-sha-512"];
        let has_credentials = uri.is_some_and(|uri| uri.credentials.is_some());
        let Some(value) = specific.get("saslMechanism") else {
            if has_credentials {
                let reason = "`saslMechanism` is missing beside credentials, so plain is used";
                self.warning("/specificConfig", reason, "name it: plain, scram-sha-256 or scram-sha-512");
            }
            return SaslMechanism::Plain;
        };
        match plain_text(value).to_ascii_lowercase().as_str() {
            "plain" => SaslMechanism::Plain,
            "scram-sha-256" => SaslMechanism::ScramSha256,
            "scram-sha-512" => SaslMechanism::ScramSha512,
            other => {
                if has_credentials {
                    let remedy = match nearest(other, MECHANISMS) {
                        Some(nearest) => format!("did you mean `{nearest}`?"),
                        None => format!("use one of {}", MECHANISMS.join(", ")),
                    };
                    let reason = format!("there is no mechanism `{other}`");
                    self.error("/specificConfig/saslMechanism", CONFIGURATION_INVALID, reason, &remedy);
                }
                SaslMechanism::Plain
            }
        }
    }

    fn ca(&mut self, members: &Map<String, Value>, uri: Option<&ConnectionUri>) -> Option<String> {
        let validates = self.boolean(members, "validateCertificates");
        if validates == Some(false) && uri.is_some_and(|uri| uri.scheme == UriScheme::Ssl) {
            let reason = "`validateCertificates` is false: certificates are validated all the same";
            self.warning(
                "/validateCertificates",
                reason,
                "give the broker's authority in `ca` and leave this out",
            );
        }
        let ca = self.string(members, "", "ca", false).filter(|ca| !ca.trim().is_empty())?;
        if uri.is_some_and(|uri| uri.scheme == UriScheme::Tcp) {
            self.error(
                "/ca",
                URI_INVALID,
                "`ca` is given, but the uri is not encrypted",
                "write ssl:// in the uri or remove `ca`",
            );
        }
        let begins = ca.matches("-----BEGIN CERTIFICATE-----").count();
        if begins == 0 || begins != ca.matches("-----END CERTIFICATE-----").count() {
            self.error(
                "/ca",
                CONFIGURATION_INVALID,
                "`ca` is no certificate in pem",
                "paste the whole file, from -----BEGIN CERTIFICATE----- on",
            );
            return None;
        }
        // As in the reference, `ca` counts only where certificates are to be validated.
        (validates != Some(false)).then(|| ca.to_owned())
    }

    /// What would be ignored is refused instead.
    fn unbuilt(&mut self, members: &Map<String, Value>, specific: &Map<String, Value>) {
        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::Array(elements) => elements.is_empty(),
            _ => false,
        };
        if members.get("sources").is_some_and(|sources| !is_empty(sources)) {
            self.error(
                "/sources",
                CONFIGURATION_INVALID,
                "sources are not built yet",
                "move them to a connection that ditto serves",
            );
        }
        if members.get("sshTunnel").is_some_and(|tunnel| !tunnel.is_null()) {
            self.error(
                "/sshTunnel",
                CONFIGURATION_INVALID,
                "kafka connections cannot be tunnelled",
                "remove `sshTunnel`",
            );
        }
        if members.get("mappingContext").is_some_and(|context| !context.is_null()) {
            self.error(
                "/mappingContext",
                CONFIGURATION_INVALID,
                "payload mappers other than Ditto are not built yet",
                "remove `mappingContext`",
            );
        }
        if members.get("mappingDefinitions").is_some_and(|all| !all.is_null() && !all.is_object()) {
            self.error(
                "/mappingDefinitions",
                JSON_INVALID,
                "`mappingDefinitions` is not an object",
                "put it in braces",
            );
        }
        if is_flag_set(specific, "is-diversion-target") {
            self.error(
                "/specificConfig/is-diversion-target",
                CONFIGURATION_INVALID,
                "diverted responses are not built yet",
                "let a connection that ditto serves take them",
            );
        }
        if let Some(credentials) = members.get("credentials").filter(|credentials| !credentials.is_null()) {
            match credentials.get("type").and_then(Value::as_str) {
                Some("plain") => self.warning(
                    "/credentials",
                    "credentials of type plain have no effect for kafka",
                    "put user and password into the uri",
                ),
                _ => self.error(
                    "/credentials",
                    CONFIGURATION_INVALID,
                    "client certificates and other credentials are not built yet",
                    "use user and password in the uri",
                ),
            }
        }
        if self.boolean(members, "failoverEnabled") == Some(false) {
            self.warning(
                "/failoverEnabled",
                "`failoverEnabled` is false: failed connections are retried all the same",
                "remove it",
            );
        }
    }
}

/// Every value of `specificConfig` counts as text.
pub(crate) fn plain_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a value of `specificConfig` is `true` in any case.
fn is_flag_set(specific: &Map<String, Value>, name: &str) -> bool {
    specific.get(name).is_some_and(|value| plain_text(value).eq_ignore_ascii_case("true"))
}

#[cfg(test)]
mod tests;
