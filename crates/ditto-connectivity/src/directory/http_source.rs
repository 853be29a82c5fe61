//! Ditto's HTTP API.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ditto_json::{RawObject, decode_string};
use reqwest::header::{AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::redirect::Policy as Redirects;
use reqwest::{Certificate, Client, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};

use super::DirectoryError;
use super::source::{Finding, Key, Kind, LookUp, Outage, Source};
use crate::config::{HttpConfig, HttpLogin};

/// Asks Ditto's HTTP API (ditto-link.md §3).
#[derive(Debug)]
pub(super) struct HttpSource {
    client: Client,
    /// Ends with a slash.
    url: Url,
    /// The file that holds the token now.
    token_file: Option<PathBuf>,
}

/// Everything that a thing shows; revision and times only if they are asked for.
const THING_FIELDS: &str =
    "thingId,policyId,definition,attributes,features,_namespace,_revision,_modified,_created,_metadata";
const POLICY_OF_FIELDS: &str = "thingId,policyId,_revision";
/// The subject that a gateway in front of Ditto has authenticated.
const PRE_AUTHENTICATED: &str = "x-ditto-pre-authenticated";
/// A longer answer is not read.
const MAX_BYTES: usize = 4 << 20;

impl HttpSource {
    pub(super) fn new(config: &HttpConfig) -> Result<Self, DirectoryError> {
        let failed = |why: String| DirectoryError::new(why);
        // The text may hold a password, so it is not repeated.
        let mut url = Url::parse(&config.url).map_err(|error| failed(format!("its url is none: {error}")))?;
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let (header, token_file) = match &config.login {
            HttpLogin::None => (None, None),
            HttpLogin::Basic { username, password } => {
                let pair = format!("{username}:{}", password.expose_secret());
                (Some((AUTHORIZATION.as_str(), format!("Basic {}", BASE64.encode(pair)))), None)
            }
            HttpLogin::Bearer(token) => {
                (Some((AUTHORIZATION.as_str(), format!("Bearer {}", token.expose_secret()))), None)
            }
            HttpLogin::BearerFile(file) => (None, Some(file.clone())),
            HttpLogin::PreAuthenticated(subject) => (Some((PRE_AUTHENTICATED, subject.clone())), None),
        };
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, secret_value(&value).ok_or_else(|| failed(NO_HEADER.to_owned()))?);
        }
        let mut client = Client::builder()
            // An answer from elsewhere would be somebody else's.
            .redirect(Redirects::none())
            // What the configuration does not say must not come from the environment.
            .no_proxy()
            .default_headers(headers);
        if let Some(pem) = &config.ca_pem {
            let roots = Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|error| failed(format!("its ca_file is no PEM file: {error}")))?;
            if roots.is_empty() {
                return Err(failed("its ca_file holds no certificate".to_owned()));
            }
            client = client.tls_certs_only(roots);
        }
        let client = client.build().map_err(|error| failed(chain(&error)))?;
        Ok(Self { client, url, token_file })
    }

    async fn ask(&self, key: &Key, validator: Option<&str>) -> Result<Finding<String>, Outage> {
        let (group, fields) = match key.kind {
            Kind::PolicyOf => ("things", Some(POLICY_OF_FIELDS)),
            Kind::Thing => ("things", Some(THING_FIELDS)),
            Kind::Policy => ("policies", None),
        };
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "2", group, &key.id]);
        }
        if let Some(fields) = fields {
            url.query_pairs_mut().append_pair("fields", fields);
        }
        let mut request = self.client.get(url);
        if let Some(validator) = validator {
            request = request.header(IF_NONE_MATCH, validator);
        }
        if let Some(file) = &self.token_file {
            let unreadable = |why: String| {
                Outage::of_source(format!("token_file `{}` cannot be used: {why}", file.display()))
            };
            let token =
                tokio::fs::read_to_string(file).await.map_err(|error| unreadable(error.to_string()))?;
            let token = SecretString::from(format!("Bearer {}", token.trim()));
            let value =
                secret_value(token.expose_secret()).ok_or_else(|| unreadable(NO_HEADER.to_owned()))?;
            request = request.header(AUTHORIZATION, value);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        self.understand(key, response).await
    }

    async fn understand(&self, key: &Key, response: Response) -> Result<Finding<String>, Outage> {
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(pause);
        match status {
            StatusCode::OK => {
                let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
                // Ditto does not answer a weak one with 304.
                let validator = etag.filter(|etag| !etag.starts_with("W/")).map(Arc::from);
                let Some(value) = self.body(response).await? else {
                    tracing::warn!(id = &*key.id, "the answer is longer than 4 MiB: it does not count");
                    return Ok(Finding::Absent);
                };
                match RawObject::new(&value).member(key.id_member()).and_then(decode_string) {
                    Some(id) if *id == *key.id => Ok(Finding::Found { value, validator }),
                    _ => Err(Outage::of_entry(format!(
                        "the answer for {} is that of another or none of Ditto's; does `url` lead to Ditto?",
                        key.id
                    ))),
                }
            }
            StatusCode::NOT_MODIFIED => Ok(Finding::NotModified),
            // Anything else on the way may say so, too: that would be no answer.
            StatusCode::NOT_FOUND => match self.error_code(response).await? {
                Some(code) if code.starts_with("things:") || code.starts_with("policies:") => {
                    Ok(Finding::Absent)
                }
                _ => Err(Outage::of_source("404, and not from Ditto; does `url` lead to its root?")),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let code = self.error_code(response).await?.unwrap_or_default();
                Err(Outage::of_source(format!(
                    "{} {code}: the login is refused; check the credentials of [directory]",
                    status.as_u16()
                )))
            }
            StatusCode::TOO_MANY_REQUESTS => {
                Err(Outage { retry_after, ..Outage::of_source("429: too many requests") })
            }
            StatusCode::SERVICE_UNAVAILABLE if retry_after.is_some() => {
                Err(Outage { retry_after, ..Outage::of_source("503: not available") })
            }
            // An id that Ditto does not take for one has nothing behind it.
            StatusCode::BAD_REQUEST => match self.error_code(response).await? {
                Some(code) if code.ends_with(":id.invalid") => Ok(Finding::Absent),
                code => Err(Outage::of_entry(format!("400 {} for {}", code.unwrap_or_default(), key.id))),
            },
            StatusCode::BAD_GATEWAY => {
                Err(Outage::of_source("502: what stands before Ditto does not reach it"))
            }
            status if status.is_redirection() => {
                Err(Outage::of_source(format!("{}: a redirect; write its goal as `url`", status.as_u16())))
            }
            status => {
                Err(Outage { retry_after, ..Outage::of_entry(format!("{} for {}", status.as_u16(), key.id)) })
            }
        }
    }

    /// The text; none if it is too long.
    async fn body(&self, mut response: Response) -> Result<Option<String>, Outage> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Ok(None);
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(body).ok();
        // What reads it later believes that it is well formed.
        let text = text.filter(|text| serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok());
        text.map(Some).ok_or_else(|| Outage::of_entry("the answer is no JSON; does `url` lead to Ditto?"))
    }

    /// Ditto's code of an error.
    async fn error_code(&self, response: Response) -> Result<Option<String>, Outage> {
        let Ok(Some(body)) = self.body(response).await else { return Ok(None) };
        Ok(RawObject::new(&body).member("error").and_then(decode_string).map(|code| code.into_owned()))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Outage {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
        Outage::of_source(format!("{host}{port}: {}", chain(error)))
    }
}

impl Key {
    /// The member of the JSON that has the id.
    fn id_member(&self) -> &'static str {
        if self.kind == Kind::Policy { "policyId" } else { "thingId" }
    }
}

impl Source for HttpSource {
    fn look_up<'s>(&'s self, key: &'s Key, validator: Option<&'s str>) -> LookUp<'s> {
        Box::pin(async move { self.ask(key, validator).await.unwrap_or_else(Finding::Unavailable) })
    }

    /// 404 means: not there, or not for the directory's user.
    fn sees_everything(&self) -> bool {
        false
    }
}

const NO_HEADER: &str = "it has a character that cannot be in a header";

/// Kept out of `Debug`.
fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What `Retry-After` asks for: seconds, or a date.
fn pause(value: &HeaderValue) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    SystemTime::try_from(date).ok()?.duration_since(SystemTime::now()).ok()
}

/// An error with its causes, without the address that was asked for.
fn chain(error: &(dyn Error + 'static)) -> String {
    // The outermost text has the whole URL, and says less than its causes.
    let Some(mut cause) = error.source() else { return "the request failed".to_owned() };
    let mut text = cause.to_string();
    while let Some(next) = cause.source() {
        text = format!("{text}: {next}");
        cause = next;
    }
    text
}

#[cfg(test)]
mod tests;
