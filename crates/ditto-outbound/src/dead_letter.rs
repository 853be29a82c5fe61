//! Dead letters: what is kept of signals that have failed (docs/adr/0028-a-dead-letter-is-a-target-of-its-connection.md).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use ditto_protocol::{Entity, EntityKind, Signal, Written};
use smallvec::SmallVec;

use crate::authorize;
use crate::feed::{FeedPlace, FeedRecord, Origin, Payload, Redriven};
use crate::leaf::{Destination, Destined, HeaderName, RecordHeaders, Token, Topic};
use crate::map::requested_acks;
use crate::outcome::{DeliverError, DropReason};
use crate::signal::{Audience, RoutedSignal};
use crate::target::{CompiledConnection, CompiledTarget};

/// The content type of Ditto Protocol JSON.
const DITTO_PROTOCOL: Bytes = Bytes::from_static(b"application/vnd.eclipse.ditto+json");

const CONNECTION: &str = "ditto-connection-id";
const REASON: &str = "ditto-dead-letter-reason";
const ERROR: &str = "ditto-dead-letter-error";
const TARGET: &str = "ditto-dead-letter-target";
const ADDRESS: &str = "ditto-dead-letter-address";
const ATTEMPT: &str = "ditto-dead-letter-attempt";
const READERS: &str = "ditto-dead-letter-read-subjects";
const FEED_TOPIC: &str = "ditto-dead-letter-feed-topic";
const FEED_PARTITION: &str = "ditto-dead-letter-feed-partition";
const FEED_OFFSET: &str = "ditto-dead-letter-feed-offset";

/// An error's text is cut to so many bytes.
const MAX_ERROR: usize = 1_000;

/// What is known of where a signal comes from, kept until its outcomes are final.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    place: Option<FeedPlace>,
    redriven: Option<Redriven>,
    /// Only if somebody gets it.
    original: Option<Original>,
}

/// A record of the feed, as far as the feed hands it over.
#[derive(Debug, Clone)]
struct Original {
    key: Option<Bytes>,
    payload: Bytes,
    headers: Vec<(Bytes, Bytes)>,
}

impl Source {
    /// That of a record; with its bytes if they are wanted.
    pub(crate) fn of<T>(record: &FeedRecord<T>, with_original: bool) -> Arc<Self> {
        let Origin { key, place, redriven } = record.origin.clone();
        let original = with_original.then(|| Original {
            key,
            payload: match &record.payload {
                Payload::Text(text) => text.clone(),
                Payload::Empty | Payload::Oversized(_) => Bytes::new(),
            },
            headers: record.headers.clone(),
        });
        Arc::new(Self { place, redriven, original })
    }

    /// The only target that the signal is for, if not each that wants it.
    pub(crate) fn only_target(&self) -> Option<usize> {
        self.redriven.map(|redriven| redriven.target)
    }

    fn attempt(&self) -> u32 {
        self.redriven.map_or(1, |redriven| redriven.attempt)
    }
}

/// A signal that has failed for a target; its letter has still to be written.
#[derive(Debug)]
pub(crate) struct DueLetter {
    pub(crate) token: Token,
    /// The place of the record that has failed: letters go out in the order of those.
    pub(crate) order: u64,
    pub(crate) signal: Arc<RoutedSignal>,
    pub(crate) target: Arc<CompiledTarget>,
    pub(crate) error: DeliverError,
}

impl DueLetter {
    /// The letter: what the target was allowed to see.
    ///
    /// # Errors
    /// It may see nothing of it. Such a signal never got so far.
    pub(crate) fn write(&self, to: &Topic) -> Result<Destined, DropReason> {
        let Self { token, signal, target, error, .. } = self;
        let readable = authorize::readable(signal, target)?;
        let seen = readable.get().signal();
        let mut payload = Vec::with_capacity(readable.get().size());
        let labels = requested_acks(seen, target);
        seen.write(&Written { requested_acks: labels.as_deref() }, &mut payload);
        let mut headers = RecordHeaders::new();
        headers.push((HeaderName::Static("content-type"), DITTO_PROTOCOL));
        headers.push((HeaderName::Static(CONNECTION), target.connection_id_bytes().clone()));
        describe(&mut headers, error.kind().name(), error);
        name_target(&mut headers, target);
        headers.push((
            HeaderName::Static(ATTEMPT),
            signal.source().map_or(1, |source| source.attempt()).to_string().into(),
        ));
        if let Some(readers) = readers(signal, target) {
            headers.push((HeaderName::Static(READERS), readers.into()));
        }
        tell_place(&mut headers, signal.source().and_then(|source| source.place.as_ref()));
        Ok(Destined {
            token: *token,
            destination: Destination { topic: to.clone(), key: key(seen), partition: None },
            headers,
            payload: payload.into(),
            is_alone: false,
        })
    }
}

/// A record of the feed that is to be kept as it was: it is no signal, or has failed for a target.
#[derive(Debug)]
pub(crate) struct DueOriginal {
    pub(crate) token: Token,
    pub(crate) order: u64,
    pub(crate) source: Arc<Source>,
    pub(crate) reason: &'static str,
    pub(crate) error: String,
    /// Which target it has failed for; none if it is no signal.
    pub(crate) target: Option<Arc<CompiledTarget>>,
}

impl DueOriginal {
    /// The record with its own key, value and headers, and what became of it.
    pub(crate) fn write(self, to: &Topic) -> Destined {
        let Self { token, source, reason, error, target, .. } = self;
        let original = source.original.clone();
        let Original { key, payload, headers: own } =
            original.unwrap_or_else(|| Original { key: None, payload: Bytes::new(), headers: Vec::new() });
        // Names are text in Kafka.
        let own = own
            .into_iter()
            .map(|(name, value)| (HeaderName::Mapped(String::from_utf8_lossy(&name).into()), value));
        let mut headers: RecordHeaders = own.collect();
        describe(&mut headers, reason, &error);
        if let Some(target) = target {
            headers.push((HeaderName::Static(CONNECTION), target.connection_id_bytes().clone()));
            name_target(&mut headers, &target);
        }
        tell_place(&mut headers, source.place.as_ref());
        let destination = Destination { topic: to.clone(), key, partition: None };
        Destined { token, destination, headers, payload, is_alone: false }
    }
}

fn describe(headers: &mut RecordHeaders, reason: &'static str, error: &dyn fmt::Display) {
    headers.push((HeaderName::Static(REASON), Bytes::from_static(reason.as_bytes())));
    let mut error = error.to_string();
    error.truncate(error.floor_char_boundary(MAX_ERROR));
    headers.push((HeaderName::Static(ERROR), error.into()));
}

fn name_target(headers: &mut RecordHeaders, target: &CompiledTarget) {
    headers.push((HeaderName::Static(TARGET), target.index().to_string().into()));
    headers.push((HeaderName::Static(ADDRESS), target.address_text().to_owned().into()));
}

fn tell_place(headers: &mut RecordHeaders, place: Option<&FeedPlace>) {
    let Some(FeedPlace { topic, partition, offset }) = place else { return };
    headers.push((HeaderName::Static(FEED_TOPIC), Bytes::copy_from_slice(topic.as_bytes())));
    headers.push((HeaderName::Static(FEED_PARTITION), partition.to_string().into()));
    headers.push((HeaderName::Static(FEED_OFFSET), offset.to_string().into()));
}

/// The id of what a signal is about: so the letters of a thing are in one partition.
fn key(signal: &Signal) -> Option<Bytes> {
    let entity: Entity<'_> = signal.entity();
    (entity.kind() != EntityKind::None).then(|| entity.to_string().into())
}

/// The subjects of a target that could read a signal, as a JSON array; `None` if it is not for subjects.
fn readers(signal: &RoutedSignal, target: &CompiledTarget) -> Option<String> {
    let Some(Audience::Subjects(grants) | Audience::Policy(_, grants)) = signal.audience() else {
        return None;
    };
    let own: SmallVec<[&str; 4]> =
        grants.readers().filter(|subject| target.context().contains(subject)).collect();
    Some(serde_json::json!(own.as_slice()).to_string())
}

/// What the headers of a dead letter say, for whoever publishes it again.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Letter {
    /// The connection that it is of.
    pub connection_id: String,
    /// The name of the failure.
    pub reason: String,
    /// The target that it failed for, by its place in the definition of then.
    pub target: usize,
    /// That target's address, as it was configured then.
    pub address: String,
    /// How often it was tried.
    pub attempt: u32,
    /// The target's subjects that could read it then. None if no subjects were asked for.
    pub read_subjects: Option<Vec<String>>,
    /// Where the signal stood in its feed.
    pub place: Option<FeedPlace>,
}

impl Letter {
    /// Reads the headers of a record; `None` if it is no letter.
    #[must_use]
    pub fn read(headers: &[(Bytes, Bytes)]) -> Option<Self> {
        let text = |name: &str| {
            let (_, value) = headers.iter().find(|(known, _)| known == name)?;
            std::str::from_utf8(value).ok()
        };
        let place = || {
            Some(FeedPlace {
                topic: text(FEED_TOPIC)?.into(),
                partition: text(FEED_PARTITION)?.parse().ok()?,
                offset: text(FEED_OFFSET)?.parse().ok()?,
            })
        };
        Some(Self {
            connection_id: text(CONNECTION)?.to_owned(),
            reason: text(REASON)?.to_owned(),
            target: text(TARGET)?.parse().ok()?,
            address: text(ADDRESS)?.to_owned(),
            attempt: text(ATTEMPT)?.parse().ok()?,
            // What cannot be understood lets nobody read.
            read_subjects: text(READERS).map(|text| serde_json::from_str(text).unwrap_or_default()),
            place: place(),
        })
    }

    /// The target of today that it is for: the only one with its address, else the one in its place.
    #[must_use]
    pub fn target_of<'c>(&self, connection: &'c CompiledConnection) -> Option<(usize, &'c CompiledTarget)> {
        let targets = || connection.targets().iter().map(|target| &**target).enumerate();
        let mut same = targets().filter(|(_, target)| target.address_text() == self.address);
        match (same.next(), same.next()) {
            (Some(same), None) => Some(same),
            _ => targets().nth(self.target),
        }
    }

    /// Whether the subjects of a target of today could read it then. What it shows is what they saw together, so all of those
    /// that it was made for must still be there.
    #[must_use]
    pub fn was_readable_for(&self, target: &CompiledTarget) -> bool {
        let readers = self.read_subjects.as_deref().unwrap_or_default();
        !readers.is_empty() && readers.iter().all(|subject| target.context().contains(subject))
    }
}

#[cfg(test)]
mod tests {
    use ditto_connection::Connection;
    use serde_json::json;

    use super::*;

    fn connection(targets: &[(&str, &[&str])]) -> Arc<CompiledConnection> {
        let target = |(address, subjects): &(&str, &[&str])| json!({"address": address, "topics": ["_/_/things/twin/events"], "authorizationContext": subjects});
        let definition = json!({
            "id": "c", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
            "specificConfig": {"bootstrapServers": "localhost:9092"},
            "targets": targets.iter().map(target).collect::<Vec<_>>()
        });
        CompiledConnection::compile(
            &Connection::from_json(&definition.to_string()).unwrap(),
            &crate::target::RunOptions::default(),
        )
    }

    fn letter(more: &[(&str, &str)]) -> Option<Letter> {
        let all = [(CONNECTION, "c"), (REASON, "record"), (TARGET, "1"), (ADDRESS, "two"), (ATTEMPT, "3")];
        let headers: Vec<_> = more
            .iter()
            .chain(&all)
            .map(|(name, value)| {
                (Bytes::copy_from_slice(name.as_bytes()), Bytes::copy_from_slice(value.as_bytes()))
            })
            .collect();
        Letter::read(&headers)
    }

    #[test]
    fn a_letter_finds_its_target() {
        let target = |targets: &[&str]| {
            let connection = connection(&targets.iter().map(|it| (*it, &["r"][..])).collect::<Vec<_>>());
            letter(&[]).unwrap().target_of(&connection).map(|(target, _)| target)
        };
        assert_eq!(target(&["one", "two"]), Some(1));
        assert_eq!(target(&["two", "one"]), Some(0), "by its address");
        assert_eq!(target(&["one", "mended"]), Some(1), "by its place");
        assert_eq!(target(&["two", "mended", "two"]), Some(1), "the address says not which");
        assert_eq!(target(&["one"]), None);
    }

    #[test]
    fn who_may_read_it_is_all_who_could() {
        let may = |readers: &str, subjects: &[&str]| {
            let connection = connection(&[("one", subjects)]);
            letter(&[(READERS, readers)]).unwrap().was_readable_for(&connection.targets()[0])
        };
        assert!(may(r#"["a","b"]"#, &["a", "b", "c"]));
        assert!(!may(r#"["a","b"]"#, &["a"]), "what they saw together is not what one of them sees");
        assert!(!may("[]", &["a"]) && !may("nonsense", &["a"]));
        assert!(!letter(&[]).unwrap().was_readable_for(&connection(&[("one", &["a"])]).targets()[0]));
    }

    #[test]
    fn what_is_no_letter_is_none() {
        assert_eq!(Letter::read(&[]), None);
        assert_eq!(letter(&[(ATTEMPT, "often")]), None);
        assert_eq!(letter(&[(TARGET, "-1")]), None);
        assert_eq!(
            letter(&[(FEED_TOPIC, "f"), (FEED_PARTITION, "x"), (FEED_OFFSET, "1")]).unwrap().place,
            None
        );
    }
}
