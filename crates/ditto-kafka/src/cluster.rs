//! Which cluster, and how to be let in.

use std::fmt;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use secrecy::{ExposeSecret, SecretString};
use tracing::Level;

/// Where a cluster is and how to talk to it (kafka-client.md §3 and §4).
///
/// `Debug` shows neither passwords nor keys.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// `host:port` of some brokers, in the order they are tried.
    pub bootstrap_servers: Vec<String>,
    /// Transport and login.
    pub security: Security,
}

impl ClusterSettings {
    /// An unencrypted cluster without login.
    #[must_use]
    pub fn plaintext(bootstrap_servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into_iter().map(Into::into).collect(),
            security: Security::default(),
        }
    }
}

/// Transport × login: the four values of Kafka's `security.protocol`.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// TLS, or none.
    pub tls: Option<Tls>,
    /// SASL, or none.
    pub sasl: Option<Sasl>,
}

/// TLS. The broker's host name is always checked against its certificate (the reference switches
/// that off with an own CA, kafka-client.md §3).
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// The only certificates to trust, as PEM text; without it the system's.
    pub ca_pem: Option<String>,
    /// What the client shows of itself.
    pub client_certificate: Option<ClientCertificate>,
}

/// A client's certificate chain and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// Chain, as PEM text.
    pub certificate_pem: String,
    /// PKCS#8 key without pass phrase, as PEM text.
    pub key_pem: SecretString,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

/// User, password and how to prove them.
#[derive(Clone)]
pub struct Sasl {
    /// How the password is proved.
    pub mechanism: SaslMechanism,
    /// User name.
    pub username: String,
    /// Password.
    pub password: SecretString,
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sasl").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

/// The mechanisms of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SaslMechanism {
    /// `PLAIN`: the password goes over the wire; use it over TLS.
    Plain,
    /// `SCRAM-SHA-256`.
    ScramSha256,
    /// `SCRAM-SHA-512`.
    ScramSha512,
}

impl SaslMechanism {
    /// As Kafka writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// librdkafka's settings as names and values; holds secrets, thus no `Debug`.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct ClientProperties(Vec<(&'static str, String)>);

impl ClientProperties {
    pub(crate) fn set(&mut self, name: &'static str, value: impl Into<String>) -> &mut Self {
        self.0.push((name, value.into()));
        self
    }

    pub(crate) fn to_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        // Without a level rdkafka asks the `log` crate, which nobody sets up here.
        if tracing::enabled!(Level::TRACE) {
            config.set_log_level(RDKafkaLogLevel::Debug).set("debug", "all");
        } else {
            config.set_log_level(RDKafkaLogLevel::Info);
        }
        for (name, value) in &self.0 {
            config.set(*name, value);
        }
        config
    }

    #[cfg(test)]
    pub(crate) fn to_text(&self) -> String {
        let lines = self.0.iter().map(|(name, value)| format!("{name} = {value}\n"));
        lines.collect()
    }
}

impl ClusterSettings {
    /// What every client of this cluster needs (kafka-client.md §3).
    pub(crate) fn properties(&self) -> ClientProperties {
        let mut properties = ClientProperties::default();
        properties
            .set("bootstrap.servers", self.bootstrap_servers.join(","))
            .set("security.protocol", self.security.protocol())
            .set("connections.max.idle.ms", "180000")
            .set("topic.metadata.refresh.interval.ms", "180000")
            .set("reconnect.backoff.ms", "500")
            .set("reconnect.backoff.max.ms", "10000");
        if let Some(tls) = &self.security.tls {
            properties.set("ssl.endpoint.identification.algorithm", "https");
            match &tls.ca_pem {
                Some(pem) => properties.set("ssl.ca.pem", pem),
                None => properties.set("ssl.ca.location", "probe"),
            };
            if let Some(client) = &tls.client_certificate {
                properties
                    .set("ssl.certificate.pem", &client.certificate_pem)
                    .set("ssl.key.pem", client.key_pem.expose_secret());
            }
        }
        if let Some(sasl) = &self.security.sasl {
            properties
                .set("sasl.mechanisms", sasl.mechanism.as_str())
                .set("sasl.username", &sasl.username)
                .set("sasl.password", sasl.password.expose_secret());
        }
        properties
    }
}

impl Security {
    fn protocol(&self) -> &'static str {
        match (&self.tls, &self.sasl) {
            (None, None) => "PLAINTEXT",
            (Some(_), None) => "SSL",
            (None, Some(_)) => "SASL_PLAINTEXT",
            (Some(_), Some(_)) => "SASL_SSL",
        }
    }
}
