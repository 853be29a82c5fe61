//! What a client knows about its way to the cluster.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tracing::{debug, warn};

use crate::code::ErrorCode;
use crate::lock::lock;

/// How the connection to the cluster stands, from facts only: reports, answers, errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionState {
    last_error: Option<ConnectionError>,
    last_success: Option<SystemTime>,
    all_brokers_down: bool,
    since: Option<SystemTime>,
}

impl ConnectionState {
    /// The last error since the cluster last took a record or answered a question.
    #[must_use]
    pub fn last_error(&self) -> Option<&ConnectionError> {
        self.last_error.as_ref()
    }

    /// When the cluster last took a record or answered a question.
    #[must_use]
    pub fn last_success(&self) -> Option<SystemTime> {
        self.last_success
    }

    /// No broker is connected, since the last success.
    #[must_use]
    pub fn all_brokers_down(&self) -> bool {
        self.all_brokers_down
    }

    /// Since when [`Self::status`] has been what it is; none as long as nothing has happened.
    #[must_use]
    pub fn since(&self) -> Option<SystemTime> {
        self.since
    }

    /// The short answer.
    #[must_use]
    pub fn status(&self) -> ConnectionStatus {
        match (&self.last_error, self.last_success) {
            (Some(error), _) if error.is_security() => ConnectionStatus::Misconfigured,
            (Some(_), _) => ConnectionStatus::Failed,
            (None, Some(_)) => ConnectionStatus::Connected,
            (None, None) => ConnectionStatus::Unknown,
        }
    }
}

impl ConnectionState {
    fn changed_from(&mut self, before: ConnectionStatus, now: SystemTime) {
        if self.since.is_none() || self.status() != before {
            self.since = Some(now);
        }
    }
}

/// [`ConnectionState`] in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionStatus {
    /// Nothing was sent and nothing failed yet.
    Unknown,
    /// The last thing the cluster did was to answer.
    Connected,
    /// The cluster can't be reached.
    Failed,
    /// The cluster, or we, refuse: credentials, certificates, permission to use it at all.
    Misconfigured,
}

/// An error of the client as a whole. It comes through librdkafka's error callback and belongs to
/// no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionError {
    code: ErrorCode,
    reason: String,
    at: SystemTime,
}

impl ConnectionError {
    /// librdkafka's code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// librdkafka's words, with the broker's name.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When it was reported.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.at
    }

    /// Authentication, TLS or permission on the cluster: not retriable, status 400 (outbound.md §6.4).
    #[must_use]
    pub fn is_security(&self) -> bool {
        self.code.is_security()
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "last connection error {}: {}", self.code, self.reason)
    }
}

/// The client's record of it, written by the poll thread once per batch and read by anyone.
#[derive(Debug, Default)]
pub(crate) struct ConnectionLog(Mutex<ConnectionState>);

/// rdkafka calls back twice per event (dependencies.md §2).
const SAME_EVENT: Duration = Duration::from_millis(100);

impl ConnectionLog {
    pub(crate) fn snapshot(&self) -> ConnectionState {
        lock(&self.0).clone()
    }

    /// The cluster took a record or answered.
    pub(crate) fn succeeded(&self) {
        let now = SystemTime::now();
        let mut state = lock(&self.0);
        let before = state.status();
        state.last_error = None;
        state.all_brokers_down = false;
        state.last_success = Some(now);
        state.changed_from(before, now);
    }

    /// A question was not answered in time. What was said before tells more, if it was not good.
    pub(crate) fn unanswered(&self, code: ErrorCode, timeout: Duration) {
        if lock(&self.0).last_error.is_none() {
            self.failed(code, &format!("no answer from any broker within {timeout:?}"));
        }
    }

    /// The error callback was called.
    pub(crate) fn failed(&self, code: ErrorCode, reason: &str) {
        let refused = refused_by_tls(code, reason);
        let (code, reason) = refused.as_deref().map_or((code, reason), |told| (ErrorCode::SSL, told));
        let now = SystemTime::now();
        let mut state = lock(&self.0);
        let before = state.status();
        if code == ErrorCode::ALL_BROKERS_DOWN {
            state.all_brokers_down = true;
            // It follows the error of the last broker, which says why: keep that one.
            if state.last_error.is_some() {
                return;
            }
        }
        let again = state.last_error.as_ref().is_some_and(|last| {
            last.code == code
                && last.reason == reason
                && now.duration_since(last.at).unwrap_or_default() < SAME_EVENT
        });
        if again {
            return;
        }
        if code.is_security() {
            warn!(code = %code, reason, "kafka cluster refused");
        } else {
            debug!(code = %code, reason, "kafka connection error");
        }
        state.last_error = Some(ConnectionError { code, reason: reason.to_owned(), at: now });
        state.changed_from(before, now);
    }
}

/// By these alerts a broker refuses the certificate of a client, or asks for one (RFC 8446 §6.2).
const REFUSED_CERTIFICATE: [&str; 8] = ["42", "43", "44", "45", "46", "48", "49", "116"];

/// What to tell of an alert that came once the handshake was done for the client: librdkafka takes it for a transport that
/// broke, and it is a refusal like any other.
fn refused_by_tls(code: ErrorCode, reason: &str) -> Option<String> {
    let (_, alert) = reason.split_once("SSL alert number ")?;
    let number = alert.split(|c: char| !c.is_ascii_digit()).next()?;
    (code == ErrorCode::TRANSPORT && REFUSED_CERTIFICATE.contains(&number))
        .then(|| format!("the broker refuses the client's certificate, or misses one: {reason}"))
}

#[cfg(test)]
mod tests;
