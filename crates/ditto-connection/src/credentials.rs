//! What a connection has beside the credentials of its uri (connection-model.md §6).

use secrecy::SecretString;

/// What a connection has beside the credentials of its uri. Kinds that Kafka does not have are refused.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConnectionCredentials {
    /// `client-cert`: what a TLS client shows. Counts with `ssl` only, and if both are there.
    ClientCertificate {
        /// The certificate and what it was issued by, in PEM.
        certificate: Option<String>,
        /// Its key: PKCS #8 without password, in PEM.
        key: Option<SecretString>,
    },
    /// `plain`: has no effect for Kafka, whose user and password are those of the uri.
    Plain {
        /// User name.
        username: String,
        /// Password.
        password: SecretString,
    },
    /// `public-key`: has no effect for Kafka, which has no tunnels.
    PublicKey {
        /// User name.
        username: String,
        /// Public key, in PEM.
        public_key: String,
        /// Private key, in PEM.
        private_key: SecretString,
    },
}

impl ConnectionCredentials {
    /// Name of the kind, as it stands in definitions.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ClientCertificate { .. } => "client-cert",
            Self::Plain { .. } => "plain",
            Self::PublicKey { .. } => "public-key",
        }
    }

    /// The secret, if there is one, and the name of its member.
    pub(crate) fn secret_mut(&mut self) -> (&'static str, Option<&mut SecretString>) {
        match self {
            Self::ClientCertificate { key, .. } => ("key", key.as_mut()),
            Self::Plain { password, .. } => ("password", Some(password)),
            Self::PublicKey { private_key, .. } => ("privateKey", Some(private_key)),
        }
    }

    /// The same for reading.
    pub(crate) fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::ClientCertificate { key, .. } => key.as_ref(),
            Self::Plain { password, .. } => Some(password),
            Self::PublicKey { private_key, .. } => Some(private_key),
        }
    }
}
