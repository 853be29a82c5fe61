//! Connections as they are used per message: compiled once, nothing is parsed later.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use ditto_authorization::AuthorizationContext;
use ditto_connection::{Connection, Source, Target, TopicSubscription};
use ditto_mapping::{Engines, Mappings};
use ditto_placeholder::{KafkaAddress, Template};
use ditto_protocol::{AckLabel, KnownHeader};

use crate::asked::Asked;
use crate::counters::TargetCounters;
use crate::hold::{Held, OnHold};
use crate::journal::{self, Journal};
use crate::leaf::{Destination, HeaderName, Topic};
use crate::mappers::{self, TargetMapping};
use crate::outcome::PassedOver;
use crate::signal::{Audience, RoutedSignal, now_ms};
use crate::topics::Topics;

/// A connection, ready for signals.
#[derive(Debug)]
pub struct CompiledConnection {
    id: Arc<str>,
    targets: Vec<Arc<CompiledTarget>>,
    debug_enabled: bool,
    on_hold: OnHold,
    journal: Journal,
    /// Where the signals go that have failed: one more target, which gets nothing else.
    dead_letters: Option<Arc<CompiledTarget>>,
    hold: HoldStatus,
}

/// Whether something is on hold. Written by the lane when that changes, read by anybody.
#[derive(Debug, Default)]
struct HoldStatus(Mutex<Option<Held>>);

impl HoldStatus {
    fn get(&self) -> Option<Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, held: Option<Held>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = held;
    }
}

/// A target, ready for signals.
#[derive(Debug)]
pub struct CompiledTarget {
    /// Its place in the definition.
    index: usize,
    connection_id: Arc<str>,
    /// The same as bytes, for the header that each record gets.
    connection_id_bytes: Bytes,
    address_text: Arc<str>,
    address: Address,
    topics: Topics,
    /// What the filters of all targets of the connection ask for.
    asked: Arc<Asked>,
    context: AuthorizationContext,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether one of these is the content type, which says in which charset the payload is.
    maps_content_type: bool,
    mapping: TargetMapping,
    issued_label: Option<Box<str>>,
    labels: Arc<Labels>,
    /// Whether it gets everything, with who may read it.
    stamps: bool,
    /// Where its signals go that have failed.
    dead_letters: Option<Arc<CompiledTarget>>,
    /// Set if it is where those go.
    letter_topic: Option<Topic>,
    counters: TargetCounters,
    journal: Journal,
    /// When a signal with which nothing is wrong was written into the journal last, in milliseconds since 1970.
    written_ms: AtomicI64,
    hold: HoldStatus,
}

/// Labels of acknowledgements of a connection.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    issued: Vec<Box<str>>,
    declared: Vec<Box<str>>,
}

impl Labels {
    /// Whether a target issues it.
    pub(crate) fn is_issued(&self, label: &str) -> bool {
        self.issued.iter().any(|issued| **issued == *label)
    }

    /// Whether a source declares it.
    pub(crate) fn is_declared(&self, label: &str) -> bool {
        self.declared.iter().any(|declared| **declared == *label)
    }
}

fn labels<'l>(labels: impl Iterator<Item = &'l AckLabel>) -> Vec<Box<str>> {
    labels.map(|label| label.as_str().into()).collect()
}

/// Where a target's records go.
#[derive(Debug)]
pub(crate) enum Address {
    /// The same for each record.
    Fixed(Destination),
    /// The topic is the same for each record, the key is resolved.
    Key(Arc<str>, Template),
    /// Resolved for each record.
    Template(KafkaAddress),
}

/// The value of a mapped header.
#[derive(Debug)]
pub(crate) enum HeaderValue {
    Constant(Bytes),
    Template(Template),
}

/// What all targets of a connection share.
struct Shared<'c> {
    id: &'c Arc<str>,
    labels: &'c Arc<Labels>,
    asked: &'c Arc<Asked>,
    mappings: &'c Mappings,
    stamps: bool,
    journal: &'c Journal,
}

/// How a connection is run, beside what its definition says.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// The kinds of payload mappers that definitions may have.
    pub engines: Engines,
    /// What becomes of its signals when they cannot be published for now.
    pub on_hold: OnHold,
    /// Where it is written what happens to it.
    pub journal: Journal,
    /// A topic on its cluster for what has failed: as the target saw it, and why it failed.
    pub dead_letters: Option<String>,
}

impl CompiledConnection {
    /// Compiles a definition. What could be wrong with it was found when it was read; a target that names a payload
    /// mapper which cannot be used fails each of its signals.
    pub fn compile(connection: &Connection, options: &RunOptions) -> Arc<Self> {
        Self::compile_as(connection, options, false)
    }

    /// Compiles a definition of one target, which gets every signal of its topics, whoever may read it, with headers that say who
    /// may: for a feed of the operator's own.
    pub fn stamping(connection: &Connection) -> Arc<Self> {
        Self::compile_as(connection, &RunOptions::default(), true)
    }

    /// What [`Lane::with_originals`](crate::Lane::with_originals) takes: no target, and a topic for records of the feed as they were.
    pub fn of_originals(id: &str, topic: &str) -> Arc<Self> {
        let id: Arc<str> = id.into();
        let journal = Journal::default();
        Arc::new(Self {
            dead_letters: Some(CompiledTarget::of_letters(0, &id, topic, &journal)),
            id,
            targets: Vec::new(),
            debug_enabled: false,
            on_hold: OnHold::default(),
            journal,
            hold: HoldStatus::default(),
        })
    }

    fn compile_as(connection: &Connection, options: &RunOptions, stamps: bool) -> Arc<Self> {
        let RunOptions { engines, on_hold, journal, dead_letters } = options;
        let id: Arc<str> = connection.id().as_str().into();
        let index = connection.targets().len();
        let of_letters = |topic| CompiledTarget::of_letters(index, &id, topic, journal);
        let dead_letters = dead_letters.as_deref().map(of_letters);
        let labels = &Arc::new(Labels {
            issued: labels(connection.targets().iter().filter_map(Target::issued_acknowledgement_label)),
            // Whoever gets a signal acknowledges to a source, whichever service consumes it.
            declared: labels(connection.sources().iter().flat_map(Source::declared_acks)),
        });
        let subscriptions = connection.targets().iter().flat_map(|target| target.topics());
        let asked = Arc::new(Asked::of(subscriptions.filter_map(TopicSubscription::filter)));
        let mappings = mappers::mappings(connection, engines);
        let shared = Shared { id: &id, labels, asked: &asked, mappings: &mappings, stamps, journal };
        let targets = connection.targets().iter().enumerate();
        let targets = targets
            .map(|(index, target)| {
                let target = CompiledTarget::compile(index, target, &shared);
                Arc::new(CompiledTarget { dead_letters: dead_letters.clone(), ..target })
            })
            .collect();
        Arc::new(Self {
            id,
            targets,
            debug_enabled: connection.is_debug_enabled(),
            on_hold: *on_hold,
            journal: journal.clone(),
            dead_letters,
            hold: HoldStatus::default(),
        })
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its targets, in the order of the definition.
    pub fn targets(&self) -> &[Arc<CompiledTarget>] {
        &self.targets
    }

    /// Where its signals go that have failed, as one more target: what is selected for it is due, what it has published is written.
    pub fn dead_letters(&self) -> Option<&Arc<CompiledTarget>> {
        self.dead_letters.as_ref()
    }

    /// The targets, then where their dead letters go.
    pub(crate) fn outlets(&self) -> impl Iterator<Item = &Arc<CompiledTarget>> {
        self.targets.iter().chain(&self.dead_letters)
    }

    /// Whether it was compiled to get everything.
    pub fn is_stamping(&self) -> bool {
        self.targets.iter().any(|target| target.stamps())
    }

    /// What becomes of its signals when they cannot be published for now.
    pub fn on_hold(&self) -> OnHold {
        self.on_hold
    }

    /// What happened to it and its signals lately.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Why nothing goes to any of its targets for now.
    pub fn held(&self) -> Option<Held> {
        self.hold.get()
    }

    pub(crate) fn set_held(&self, held: Option<Held>) {
        self.hold.set(held);
    }

    /// Whether acknowledgements carry the metadata of the record.
    pub(crate) fn is_debug_enabled(&self) -> bool {
        self.debug_enabled
    }

    /// Whether any target acknowledges what it has published.
    pub(crate) fn issues_labels(&self) -> bool {
        self.targets.iter().any(|target| target.issued_label.is_some())
    }

    /// Whether the signal may go to this connection at all.
    pub(crate) fn admits(&self, signal: &RoutedSignal) -> bool {
        self.turns_away(signal).is_none()
    }

    /// Why it may not: it goes not back to its origin (outbound.md §1, step 1), and an announcement about a connection only to
    /// that one.
    pub(crate) fn turns_away(&self, signal: &RoutedSignal) -> Option<PassedOver> {
        const ORIGIN: KnownHeader = KnownHeader::named("ditto-origin");
        if signal.signal().headers().known(ORIGIN).is_some_and(|origin| origin.text() == *self.id) {
            return Some(PassedOver::Origin);
        }
        let is_elsewhere =
            matches!(signal.audience(), Some(Audience::OwnConnection)) && !signal.is_about(&self.id);
        (is_elsewhere && !self.is_stamping()).then_some(PassedOver::OtherConnection)
    }
}

impl CompiledTarget {
    fn compile(index: usize, target: &Target, of_connection: &Shared<'_>) -> Self {
        let address = match (target.address().as_constant(), target.address().as_fixed_topic()) {
            (Some(fixed), _) => Address::Fixed(Destination {
                topic: Topic::Fixed(fixed.topic.into()),
                key: fixed.key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
                partition: fixed.partition,
            }),
            (None, Some((topic, key))) => Address::Key(topic.into(), key),
            (None, None) => Address::Template(target.address().clone()),
        };
        let headers = target.header_mapping().iter().map(|(name, template)| {
            let value = match template.as_constant() {
                Some(text) => HeaderValue::Constant(Bytes::copy_from_slice(text.as_bytes())),
                None => HeaderValue::Template(template.clone()),
            };
            (HeaderName::Mapped(name.as_str().into()), value)
        });
        let Shared { id, labels, asked, mappings, stamps, journal } = *of_connection;
        let is_content_type = |(name, _): &(String, Template)| name.eq_ignore_ascii_case("content-type");
        Self {
            index,
            connection_id: id.clone(),
            connection_id_bytes: Bytes::copy_from_slice(id.as_bytes()),
            address_text: target.address().to_string().into(),
            address,
            topics: Topics::new(target.topics()),
            asked: asked.clone(),
            mapping: TargetMapping::compile(mappings, target),
            context: target.authorization_context().iter().map(String::as_str).collect(),
            headers: headers.collect(),
            maps_content_type: target.header_mapping().iter().any(is_content_type),
            issued_label: target.issued_acknowledgement_label().map(|label| label.as_str().into()),
            labels: labels.clone(),
            stamps,
            dead_letters: None,
            letter_topic: None,
            counters: TargetCounters::default(),
            journal: journal.clone(),
            written_ms: AtomicI64::new(0),
            hold: HoldStatus::default(),
        }
    }

    /// A topic for what has failed. No signal is selected for it.
    fn of_letters(index: usize, connection_id: &Arc<str>, topic: &str, journal: &Journal) -> Arc<Self> {
        let topic_name = Topic::Fixed(topic.into());
        Arc::new(Self {
            index,
            connection_id: connection_id.clone(),
            connection_id_bytes: Bytes::copy_from_slice(connection_id.as_bytes()),
            address_text: topic.into(),
            address: Address::Fixed(Destination { topic: topic_name.clone(), key: None, partition: None }),
            topics: Topics::new(&[]),
            asked: Arc::new(Asked::of([])),
            context: std::iter::empty::<&str>().collect(),
            headers: Vec::new(),
            issued_label: None,
            labels: Arc::default(),
            stamps: false,
            dead_letters: None,
            letter_topic: Some(topic_name),
            maps_content_type: false,
            mapping: TargetMapping::Ditto,
            counters: TargetCounters::default(),
            journal: journal.clone(),
            written_ms: AtomicI64::new(0),
            hold: HoldStatus::default(),
        })
    }

    /// The id of its connection.
    pub fn connection_id(&self) -> &str {
        &self.connection_id
    }

    /// The address as it is configured.
    pub fn address_text(&self) -> &str {
        &self.address_text
    }

    pub(crate) fn shared_address(&self) -> &Arc<str> {
        &self.address_text
    }

    /// What became of its signals.
    pub fn counters(&self) -> &TargetCounters {
        &self.counters
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Whether the next signal is to be written into the journal though nothing is wrong with it.
    pub(crate) fn is_journal_due(&self) -> bool {
        let now = now_ms();
        let pause = i64::try_from(journal::PAUSE.as_millis()).unwrap_or(i64::MAX);
        let is_due = now.saturating_sub(self.written_ms.load(Relaxed)) >= pause;
        if is_due {
            self.written_ms.store(now, Relaxed);
        }
        is_due
    }

    /// Whether each record goes to one topic with one key.
    pub fn is_fixed(&self) -> bool {
        matches!(self.address, Address::Fixed(_))
    }

    /// The topic, if it is the same for each signal.
    pub fn fixed_topic(&self) -> Option<&str> {
        match &self.address {
            Address::Fixed(destination) => Some(destination.topic.as_str()),
            Address::Key(topic, _) => Some(topic),
            Address::Template(_) => None,
        }
    }

    /// Why nothing goes to it for now, beside what holds its whole connection.
    pub fn held(&self) -> Option<Held> {
        self.hold.get()
    }

    pub(crate) fn set_held(&self, held: Option<Held>) {
        self.hold.set(held);
    }

    /// Where its signals go that have failed.
    pub(crate) fn dead_letters(&self) -> Option<&Arc<Self>> {
        self.dead_letters.as_ref()
    }

    /// The topic, if it is where signals go that have failed.
    pub(crate) fn letter_topic(&self) -> Option<&Topic> {
        self.letter_topic.as_ref()
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn connection_id_bytes(&self) -> &Bytes {
        &self.connection_id_bytes
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    pub(crate) fn asked(&self) -> &Arc<Asked> {
        &self.asked
    }

    pub(crate) fn topics(&self) -> &Topics {
        &self.topics
    }

    pub(crate) fn context(&self) -> &AuthorizationContext {
        &self.context
    }

    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    pub(crate) fn maps_content_type(&self) -> bool {
        self.maps_content_type
    }

    pub(crate) fn mapping(&self) -> &TargetMapping {
        &self.mapping
    }

    pub(crate) fn stamps(&self) -> bool {
        self.stamps
    }

    pub(crate) fn issued_label(&self) -> Option<&str> {
        self.issued_label.as_deref()
    }

    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }
}
