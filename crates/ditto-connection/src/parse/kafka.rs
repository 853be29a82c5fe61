//! What only Kafka connections have (connection-model.md §4).

use std::collections::HashSet;

use ditto_placeholder::{Placeholder, Resolution, Resolve, Scope, Template};
use ditto_protocol::ConnectionId;

use super::reader::{Object, Reader, did_you_mean, shorten};
use crate::model::{SaslMechanism, is_set, specific};
use crate::report::Check;
use crate::source::ResponseType;
use crate::uri::{ConnectionUri, port_of};

type Config = [(String, String)];

/// The id in templates that know nothing else.
struct IdOnly<'c>(&'c ConnectionId);

impl Resolve for IdOnly<'_> {
    fn resolve(&self, placeholder: &Placeholder, out: &mut String) -> Option<()> {
        matches!(placeholder, Placeholder::ConnectionId).then(|| out.push_str(self.0.as_str()))
    }
}

impl Reader<'_> {
    pub(super) fn sasl_mechanism(&mut self, config: &Config, uri: Option<&ConnectionUri>) -> SaslMechanism {
        const MECHANISMS: [&str; 3] = ["plain", "scram-sha-256", "scram-sha-512"];
        const AT: &str = "/specificConfig/saslMechanism";
        let has_credentials = uri.is_some_and(|uri| uri.credentials.is_some());
        let Some(value) = specific(config, "saslMechanism") else {
            if has_credentials {
                let reason = "`saslMechanism` is missing beside credentials, so plain is used";
                self.warning(AT, reason, "name it: plain, scram-sha-256 or scram-sha-512");
            }
            return SaslMechanism::Plain;
        };
        if !has_credentials && uri.is_some() {
            self.note(AT, "`saslMechanism` has no effect without user and password in the uri", "remove it");
        }
        match value.to_ascii_lowercase().as_str() {
            "plain" => SaslMechanism::Plain,
            "scram-sha-256" => SaslMechanism::ScramSha256,
            "scram-sha-512" => SaslMechanism::ScramSha512,
            other => {
                if has_credentials {
                    let reason = format!("there is no mechanism `{}`", shorten(value));
                    self.invalid(Check::SaslMechanism, AT, reason, &did_you_mean(other, &MECHANISMS));
                }
                SaslMechanism::Plain
            }
        }
    }

    /// Split at commas and blanks, empty entries ignored (design §8); the uri's address is always among them.
    pub(super) fn bootstrap_servers(&mut self, config: &Config, uri: Option<&ConnectionUri>) -> Vec<String> {
        const AT: &str = "/specificConfig/bootstrapServers";
        let mut servers: Vec<String> = Vec::new();
        let mut seen = HashSet::new();
        let listed = specific(config, "bootstrapServers").unwrap_or_default();
        let mut entries =
            listed.split([',', ' ', '\t', '\n', '\r']).filter(|entry| !entry.is_empty()).peekable();
        if entries.peek().is_none() {
            let remedy = "add the brokers as host:port, separated by commas";
            self.invalid(Check::BootstrapServers, AT, "`bootstrapServers` names no broker", remedy);
        }
        for entry in entries {
            if !is_broker(entry) {
                // Somebody may have written credentials there.
                let shown =
                    if entry.contains('@') { "an entry".to_owned() } else { format!("`{}`", shorten(entry)) };
                let reason = format!("{shown} is no broker address");
                let remedy = "write host:port with a port from 1 to 65535";
                self.invalid(Check::BootstrapServers, AT, reason, remedy);
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

    /// Group and offset of consumers; nobody looks at them without sources.
    pub(super) fn consumers(&mut self, config: &Config, id: Option<&ConnectionId>, has_sources: bool) {
        const GROUP: &str = "/specificConfig/groupId";
        const OFFSET: &str = "/specificConfig/consumerOffsetReset";
        for (pointer, name) in [(GROUP, "groupId"), (OFFSET, "consumerOffsetReset")] {
            if specific(config, name).is_some() {
                let (why, remedy) = match has_sources {
                    true => {
                        ("here: sources are not consumed", "keep it for ditto's own service, or remove it")
                    }
                    false => ("without sources", "remove it"),
                };
                self.note(pointer, format!("`{name}` has no effect {why}"), remedy);
            }
        }
        if !has_sources {
            return;
        }
        if let (Some(group), Some(id)) = (specific(config, "groupId"), id) {
            self.group(GROUP, group, id);
        }
        if let Some(reset) = specific(config, "consumerOffsetReset")
            && !["earliest", "latest"].iter().any(|known| known.eq_ignore_ascii_case(reset))
        {
            let reason = format!("there is no offset `{}`", shorten(reset));
            let remedy = did_you_mean(&reset.to_ascii_lowercase(), &["earliest", "latest"]);
            self.invalid(Check::OffsetReset, OFFSET, reason, &remedy);
        }
    }

    fn group(&mut self, pointer: &str, group: &str, id: &ConnectionId) {
        const UNRESOLVED: &str = "placeholder:unresolved";
        const REMEDY: &str = "use no placeholder but {{ connection:id }}";
        let template = match Template::parse(group, Scope::Connection) {
            Ok(template) => template,
            Err(error) => {
                let reason = format!("the group is refused: {error}");
                self.error(Check::GroupId, pointer, UNRESOLVED, reason, REMEDY);
                self.show(Some(error.caret(group)));
                return;
            }
        };
        let mut resolved = String::new();
        if !matches!(template.resolve_into(&IdOnly(id), &mut resolved), Ok(Resolution::Resolved)) {
            let reason = "the group is refused: it has no value";
            return self.error(Check::GroupId, pointer, UNRESOLVED, reason, REMEDY);
        }
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if resolved.is_empty() || !resolved.bytes().all(is_legal) {
            let reason = format!("`{}` is no consumer group", shorten(&resolved));
            self.invalid(Check::GroupId, pointer, reason, "use A-Z a-z 0-9 . _ - only");
        }
    }

    /// Responses that go to another connection than that which asked.
    pub(super) fn diversion(
        &mut self,
        sources: &[Object<'_>],
        targets: &[Object<'_>],
        config: &Config,
        id: Option<&ConnectionId>,
    ) {
        self.without_diversion(config, !sources.is_empty());
        if is_set(specific(config, "is-diversion-source")) {
            for source in sources {
                self.diverted_types(source);
            }
        }
        for source in sources {
            self.diverted_to(source, id);
        }
        if !is_set(specific(config, "is-diversion-target")) {
            return;
        }
        let authorized = specific(config, "authorized-connections-as-sources").unwrap_or_default();
        let authorized = authorized.split(',').map(str::trim).filter(|_| !authorized.trim().is_empty());
        for error in authorized.filter_map(|id| id.parse::<ConnectionId>().err()) {
            let pointer = "/specificConfig/authorized-connections-as-sources";
            let code = error.code().name();
            self.error(Check::Diversion, pointer, code, error.message(), "write ids separated by commas");
        }
        for target in targets {
            if target.get("topics").and_then(|it| it.as_array()).is_some_and(|topics| !topics.is_empty()) {
                let reason = "a connection that takes diverted responses has no topics";
                let remedy = "remove the topics, or `is-diversion-target`";
                self.invalid(Check::Diversion, &target.pointer("topics"), reason, remedy);
            }
        }
    }

    /// What only matters to whoever diverts responses, which sources do that are consumed.
    fn without_diversion(&mut self, config: &Config, has_sources: bool) {
        let of_sources = match has_sources {
            true => "here: sources are not consumed",
            false => "without sources",
        };
        let is_target = is_set(specific(config, "is-diversion-target"));
        for (name, why) in [
            ("is-diversion-source", Some(of_sources)),
            ("preserve-normal-response-via-source", Some(of_sources)),
            ("authorized-connections-as-sources", (!is_target).then_some("without `is-diversion-target`")),
        ] {
            if let (Some(_), Some(why)) = (specific(config, name), why) {
                let pointer = format!("/specificConfig/{name}");
                self.note(&pointer, format!("`{name}` has no effect {why}"), "remove it");
            }
        }
    }

    fn diverted_types(&mut self, source: &Object<'_>) {
        let Some((pointer, types)) = header(source, "divert-expected-response-types") else { return };
        let known = ResponseType::ALL.map(ResponseType::as_str);
        let types = types.split(',').map(str::trim).filter(|it| !it.is_empty());
        for unknown in types.filter(|it| !known.contains(it)) {
            let reason = format!("there is no response type `{}`", shorten(unknown));
            self.invalid(Check::Diversion, &pointer, reason, &did_you_mean(unknown, &known));
        }
    }

    fn diverted_to(&mut self, source: &Object<'_>, id: Option<&ConnectionId>) {
        let Some((pointer, to)) = header(source, "divert-response-to-connection") else { return };
        let reason = match to.parse::<ConnectionId>() {
            Ok(to) if Some(&to) == id => "the connection gets its own responses without that",
            Ok(_) => return,
            Err(_) => "responses cannot be diverted to this: it is no id of a connection",
        };
        self.invalid(Check::Diversion, &pointer, reason, "write the id of another connection");
    }
}

/// A header of a source, and where it is.
fn header<'v>(source: &Object<'v>, name: &str) -> Option<(String, &'v str)> {
    let value = source.get("headerMapping")?.get(name)?.as_str()?;
    Some((format!("{}/{name}", source.pointer("headerMapping")), value))
}

fn is_broker(entry: &str) -> bool {
    entry.rsplit_once(':').is_some_and(|(host, port)| {
        let is_label = |label: &str| {
            let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
            (1..=63).contains(&label.len())
                && label.bytes().all(is_legal)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        host.strip_suffix('.').unwrap_or(host).split('.').all(is_label) && port_of(port).is_some()
    })
}
