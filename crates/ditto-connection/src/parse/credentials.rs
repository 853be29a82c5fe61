//! Credentials and tunnels (connection-model.md §6).

use secrecy::SecretString;

use super::reader::{JSON_INVALID, Object, Reader, did_you_mean, shorten};
use crate::credentials::ConnectionCredentials;
use crate::members;
use crate::report::Check;
use crate::secret::is_mask;

impl Reader<'_> {
    /// Those of the connection. Kinds that Kafka does not have are refused.
    pub(super) fn credentials(&mut self, root: &Object<'_>) -> Option<ConnectionCredentials> {
        let object = self.object(root, "credentials")?;
        let kind = self.credentials_type(&object)?;
        if members::FOREIGN_CREDENTIALS_TYPES.contains(&kind) {
            let reason = format!("credentials of type `{kind}` are none of a kafka connection");
            self.invalid(Check::Credentials, "/credentials", reason, "use user and password in the uri");
            return None;
        }
        self.known(&object, &members::CREDENTIALS);
        let mut credentials = match kind {
            "client-cert" => ConnectionCredentials::ClientCertificate {
                certificate: self.text(&object, "cert").map(str::to_owned),
                key: self.text(&object, "key").map(SecretString::from),
            },
            "plain" => {
                let username = self.required_text(&object, "username").map(str::to_owned);
                let password = self.required_text(&object, "password").map(SecretString::from);
                ConnectionCredentials::Plain { username: username?, password: password? }
            }
            _ => {
                let username = self.required_text(&object, "username").map(str::to_owned);
                let public_key = self.required_text(&object, "publicKey").map(str::to_owned);
                let private_key = self.required_text(&object, "privateKey").map(SecretString::from);
                ConnectionCredentials::PublicKey {
                    username: username?,
                    public_key: public_key?,
                    private_key: private_key?,
                }
            }
        };
        let kind = credentials.kind();
        if let (name, Some(secret)) = credentials.secret_mut()
            && is_mask(secret)
        {
            let stored = self.draft.stored.and_then(|stored| stored.credentials.as_ref());
            match stored.filter(|stored| stored.kind() == kind).and_then(ConnectionCredentials::secret) {
                Some(stored) => *secret = stored.clone(),
                None => self.masked(&object.pointer(name)),
            }
        }
        Some(credentials)
    }

    fn credentials_type<'v>(&mut self, object: &Object<'v>) -> Option<&'v str> {
        let kind = self.required_text(object, "type")?;
        let kinds = [members::CREDENTIALS_TYPES, members::FOREIGN_CREDENTIALS_TYPES].concat();
        if kinds.contains(&kind) {
            return Some(kind);
        }
        let reason = format!("there are no credentials of type `{}`", shorten(kind));
        let remedy = did_you_mean(kind, &members::CREDENTIALS_TYPES);
        self.error(Check::Read, &object.pointer("type"), JSON_INVALID, reason, &remedy);
        None
    }

    /// Whether there is a tunnel; its members are looked at first, as the reference does.
    pub(super) fn ssh_tunnel(&mut self, root: &Object<'_>) -> bool {
        let Some(tunnel) = self.object(root, "sshTunnel") else { return false };
        self.known(&tunnel, &members::SSH_TUNNEL);
        for name in ["enabled", "credentials", "validateHost", "uri"] {
            if tunnel.get(name).is_none() {
                self.missing(&tunnel, name);
            }
        }
        self.flag(&tunnel, "enabled");
        if let Some(credentials) = self.object(&tunnel, "credentials") {
            self.credentials_type(&credentials);
        }
        self.flag(&tunnel, "validateHost");
        self.texts(&tunnel, "knownHosts");
        self.text(&tunnel, "uri");
        true
    }
}
