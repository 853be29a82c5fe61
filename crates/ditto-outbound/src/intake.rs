//! From a feed's record to a signal and who may get it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use ditto_authorization::{Grants, GrantsError};
use ditto_protocol::{
    Category, EntityKind, ErrorCode, Headers, KnownHeader, Limits, ProtocolError, Signal, header_definition,
};

use crate::counters::FeedDrop;
use crate::feed::Payload;
use crate::signal::{Audience, RoutedSignal};

/// What a feed's owner says of it.
#[derive(Debug, Clone, Default)]
pub struct FeedPolicy {
    /// Whether internal headers count.
    pub internal_headers: InternalHeaders,
    /// Bounds of a message.
    pub limits: Limits,
}

/// Whether internal headers (`ditto-read-subjects`, …) of a feed count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InternalHeaders {
    /// They decide who may read: whoever writes the feed decides that. A signal without them is left to the directory.
    Trust,
    /// They are gone before anything looks at the signal: the directory decides.
    Strip {
        /// Who may read every thing, whatever the directory says: none, but for tests and demos.
        default_read_subjects: Vec<String>,
    },
}

impl Default for InternalHeaders {
    fn default() -> Self {
        Self::Strip { default_read_subjects: Vec::new() }
    }
}

/// Why a record is no signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    reason: FeedDrop,
    detail: String,
}

impl Refusal {
    /// The reason under which it is counted.
    pub fn reason(&self) -> FeedDrop {
        self.reason
    }

    /// What is wrong with it.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// Decodes the records of one feed.
#[derive(Debug)]
pub struct Intake {
    limits: Limits,
    trusts: bool,
    default_grants: Option<Arc<Grants>>,
    /// Grants by the text of their headers: a fleet has few different ones.
    grants: HashMap<Box<str>, Arc<Grants>>,
    /// Those of the last signal, with their text.
    last: Option<(String, Arc<Grants>)>,
    /// Reused to look up.
    key: String,
}

/// Cached grants, and the longest text that is worth it, in bytes.
const MAX_CACHED: usize = 4096;
const MAX_KEY: usize = 4096;

impl Intake {
    /// An intake by the rules of a feed.
    pub fn new(policy: FeedPolicy) -> Self {
        let (trusts, default_read_subjects) = match policy.internal_headers {
            InternalHeaders::Trust => (true, Vec::new()),
            InternalHeaders::Strip { default_read_subjects } => (false, default_read_subjects),
        };
        Self {
            limits: policy.limits,
            trusts,
            default_grants: (!default_read_subjects.is_empty())
                .then(|| Arc::new(Grants::of_subjects(default_read_subjects))),
            grants: HashMap::new(),
            last: None,
            key: String::new(),
        }
    }

    /// Decodes a record with its transport headers.
    ///
    /// # Errors
    /// Why it is no signal; it is to be dropped.
    pub fn decode(
        &mut self,
        payload: Payload,
        record_headers: &[(Bytes, Bytes)],
    ) -> Result<RoutedSignal, Refusal> {
        let text = match payload {
            Payload::Text(text) if text.iter().all(u8::is_ascii_whitespace) => {
                return Err(refusal(FeedDrop::Empty, "the record has no text"));
            }
            Payload::Text(text) => text,
            Payload::Empty => return Err(refusal(FeedDrop::Empty, "the record has no payload")),
            Payload::Oversized(bytes) => {
                let detail = format!("the message has {bytes} bytes, more than {}", self.limits.max_bytes);
                return Err(refusal(FeedDrop::TooLarge, detail));
            }
        };
        let decode = if self.trusts { Signal::decode } else { Signal::decode_untrusted };
        let mut signal = decode(text, &self.limits).map_err(|error| Refusal::from(&error))?;
        if self.trusts {
            overlay(signal.headers_mut(), record_headers)?;
        }
        let audience = self.audience(&signal)?;
        Ok(RoutedSignal::new(signal, audience))
    }

    /// Who may get the signal, if that is said: else the policy of its thing decides.
    fn audience(&mut self, signal: &Signal) -> Result<Option<Audience>, Refusal> {
        let entity = signal.entity().kind();
        let announced = Grants::of_announcement(signal)
            .map_err(|error| refusal(FeedDrop::NotDittoProtocol, error.to_string()))?;
        if let Some(announced) = announced {
            return Ok(Some(Audience::Subjects(Arc::new(announced))));
        }
        if signal.category() == Category::Announcement && entity == EntityKind::Connection {
            return Ok(Some(Audience::OwnConnection));
        }
        if !self.trusts {
            return Ok(self.default_grants.clone().map(Audience::Subjects));
        }
        Ok(self.granted(signal.headers())?.map(Audience::Subjects))
    }

    /// Who may read by the internal headers, if they say so.
    fn granted(&mut self, headers: &Headers) -> Result<Option<Arc<Grants>>, Refusal> {
        const READ: KnownHeader = KnownHeader::named("ditto-read-subjects");
        const REVOKED: KnownHeader = KnownHeader::named("ditto-read-revoked-subjects");
        const PARTIAL: KnownHeader = KnownHeader::named("ditto-partial-access-paths");
        let [read, revoked, partial] = [READ, REVOKED, PARTIAL].map(|header| headers.known_text(header));
        if read.is_none() {
            // What comes with nothing to read by decides nothing, but must be understood.
            Grants::parse(None, revoked.as_deref(), partial.as_deref()).map_err(refuse_header)?;
            return Ok(None);
        }
        self.key.clear();
        for text in [&read, &revoked, &partial] {
            self.key.push_str(text.as_deref().unwrap_or_default());
            // No JSON holds it unescaped, so the parts cannot run into each other.
            self.key.push('\0');
        }
        // Signals of one thing come in a row, and most things of a fleet share a policy.
        if let Some((key, grants)) = &self.last
            && *key == self.key
        {
            return Ok(Some(grants.clone()));
        }
        let grants = match self.grants.get(self.key.as_str()) {
            Some(known) => known.clone(),
            None => self.parse_grants(read.as_deref(), revoked.as_deref(), partial.as_deref())?,
        };
        self.last = Some((self.key.clone(), grants.clone()));
        Ok(Some(grants))
    }

    /// Parses what [`Self::granted`] has put into the key, and keeps it.
    fn parse_grants(
        &mut self,
        read: Option<&str>,
        revoked: Option<&str>,
        partial: Option<&str>,
    ) -> Result<Arc<Grants>, Refusal> {
        let grants = Grants::parse(read, revoked, partial).map(Arc::new).map_err(refuse_header)?;
        if self.key.len() <= MAX_KEY {
            if self.grants.len() >= MAX_CACHED {
                self.grants.clear();
            }
            self.grants.insert(self.key.as_str().into(), grants.clone());
        }
        Ok(grants)
    }
}

/// Internal headers of the record win over those of the message.
fn overlay(headers: &mut Headers, record_headers: &[(Bytes, Bytes)]) -> Result<(), Refusal> {
    for (name, value) in record_headers {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if !header_definition(name).is_some_and(|definition| definition.is_internal()) {
            continue;
        }
        let Ok(text) = std::str::from_utf8(value) else {
            return Err(refusal(
                FeedDrop::InvalidInternalHeader,
                format!("record header `{name}` is not utf-8"),
            ));
        };
        headers
            .set(name, text)
            .map_err(|error| refusal(FeedDrop::InvalidInternalHeader, error.message().to_owned()))?;
    }
    Ok(())
}

fn refuse_header(error: GrantsError) -> Refusal {
    refusal(FeedDrop::InvalidInternalHeader, error.to_string())
}

fn refusal(reason: FeedDrop, detail: impl Into<String>) -> Refusal {
    Refusal { reason, detail: detail.into() }
}

impl From<&ProtocolError> for Refusal {
    fn from(error: &ProtocolError) -> Self {
        let reason = match error.code() {
            ErrorCode::MESSAGE_TOO_LARGE => FeedDrop::TooLarge,
            ErrorCode::MESSAGE_TOO_DEEP => FeedDrop::TooDeep,
            ErrorCode::MESSAGE_NOT_UTF8 => FeedDrop::InvalidUtf8,
            _ => FeedDrop::NotDittoProtocol,
        };
        refusal(reason, error.to_string())
    }
}
