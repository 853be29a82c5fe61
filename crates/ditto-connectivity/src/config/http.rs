//! The management API over HTTP: the table `[http]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Params};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::section::Section;

/// The management API.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// The hash of the password of the user `devops`; none: one is made up at each start.
    pub devops_password: Option<SecretString>,
    /// The hash of the password of the user `status`; none: there is no such user.
    pub status_password: Option<SecretString>,
    /// Whether pages from elsewhere may call it.
    pub cors: bool,
    /// Connections at a time.
    pub max_connections: usize,
    /// What the service is called in answers.
    pub instance: String,
    /// Tokens that it takes.
    pub jwt: Option<JwtConfig>,
}

/// Tokens that the management API takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtConfig {
    /// Who must have issued them.
    pub issuer: String,
    /// Where the issuer's keys are.
    pub jwks_url: Url,
    /// Whom they must be for, if that matters.
    pub audience: Option<String>,
    /// Subjects that may do everything.
    pub devops_subjects: Vec<String>,
    /// Subjects that may read status and metrics.
    pub status_subjects: Vec<String>,
}

/// Checking a password may take this much memory; that of the recommended settings is 19 MiB.
const MAX_HASH_MEMORY_KIB: u32 = 256 << 10;
/// And so many passes.
const MAX_HASH_PASSES: u32 = 32;

impl ApiConfig {
    /// With the defaults of a configuration file.
    #[must_use]
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            devops_password: None,
            status_password: None,
            cors: false,
            max_connections: 256,
            instance: host_name(),
            jwt: None,
        }
    }

    /// None if there is no such table, or it is wrong.
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        if !section.is_there() {
            return None;
        }
        let default = Self::new(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080));
        let bind = section.text("bind").map(|text| text.parse::<SocketAddr>());
        let bind = match bind {
            Some(Ok(bind)) => bind,
            None => default.bind,
            Some(Err(_)) => {
                section.refuse("bind", "is no address with a port, such as 127.0.0.1:8080 or [::]:8080");
                default.bind
            }
        };
        let devops_password = hash(section, "devops_password_hash");
        let status_password = hash(section, "status_password_hash");
        let cors = section.boolean("cors").unwrap_or(default.cors);
        let max_connections =
            section.number("max_connections", 8..=65_536).unwrap_or(default.max_connections);
        let instance = section.text("instance").filter(|text| !text.is_empty()).unwrap_or(default.instance);
        let mut jwt_section = section.optional_section("jwt");
        let jwt = JwtConfig::read(&mut jwt_section);
        jwt_section.end();
        if devops_password.is_none()
            && jwt.is_none()
            && !section.has("devops_password_hash")
            && !bind.ip().is_loopback()
        {
            section.missing(
                "devops_password_hash",
                "without it the API listens on loopback only; make one with `ditto-connectivity hash-password`",
            );
        }
        Some(Self { bind, devops_password, status_password, cors, max_connections, instance, jwt })
    }
}

impl JwtConfig {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        if !section.is_there() {
            return None;
        }
        let issuer = section.required_text("issuer", "write the issuer as it is in tokens (claim iss)");
        let url = section.required_text("jwks_url", "write where the issuer's keys are, as JWKS");
        let audience = section.text("audience").filter(|text| !text.is_empty());
        let devops_subjects = section.list("devops_subjects").unwrap_or_default();
        let status_subjects = section.list("status_subjects").unwrap_or_default();
        if devops_subjects.is_empty() && status_subjects.is_empty() {
            section.missing("devops_subjects", "list who may manage connections (claim sub)");
        }
        let jwks_url = url.and_then(|text| {
            let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
            if url.is_none() {
                section.refuse("jwks_url", "is no http:// or https:// address without credentials");
            }
            url
        });
        Some(Self { issuer: issuer?, jwks_url: jwks_url?, audience, devops_subjects, status_subjects })
    }
}

/// A password's hash; what checking it would cost is bounded.
fn hash(section: &mut Section<'_>, name: &'static str) -> Option<SecretString> {
    let text = SecretString::from(section.text(name)?);
    match checked(text.expose_secret()) {
        Ok(()) => Some(text),
        Err(why) => {
            // Somebody may have written the password itself: it is not repeated.
            section.refuse(name, &format!("{why}; make one with `ditto-connectivity hash-password`"));
            None
        }
    }
}

fn checked(text: &str) -> Result<(), &'static str> {
    let hash = PasswordHash::new(text).map_err(|_| "is no argon2 hash in PHC form ($argon2id$…)")?;
    Algorithm::try_from(hash.algorithm.as_str())
        .map_err(|_| "is no argon2 hash in PHC form ($argon2id$…)")?;
    let params = Params::try_from(&hash).map_err(|_| "has parameters that argon2 does not take")?;
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err("has no salt or no hash");
    }
    if params.m_cost() > MAX_HASH_MEMORY_KIB || params.t_cost() > MAX_HASH_PASSES {
        return Err("takes more than 256 MiB or 32 passes to check");
    }
    Ok(())
}

/// As the reference names its instances: by variable, else by host.
fn host_name() -> String {
    let of_variable = std::env::var("HOSTNAME").ok();
    let of_system = || std::fs::read_to_string("/etc/hostname").ok();
    let name = of_variable.filter(|name| !name.is_empty()).or_else(of_system);
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "1".to_owned())
}
