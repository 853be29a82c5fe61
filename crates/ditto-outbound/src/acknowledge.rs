//! Acknowledgements: one pure function of all outcomes of a signal (outbound.md §6).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ditto_protocol::{AckLabel, Acknowledgement, Acknowledgements, Category, EntityKind, Signal};
use serde_json::{Map, Value, json};
use smallvec::SmallVec;

use crate::journal::{About, Entry, EntryCategory, EntryLevel, Step};
use crate::leaf::{Delivered, Token, Written};
use crate::outcome::{DeliverError, DeliverErrorKind, Outcome, Refusal};
use crate::signal::RoutedSignal;
use crate::target::{CompiledConnection, CompiledTarget};

/// Where acknowledgements go.
pub trait AcknowledgementSink: Send {
    /// Takes what is said of one signal. Must not block.
    fn send(&mut self, acknowledgements: Acknowledgements);
}

/// A sink for feeds that nobody asks for acknowledgements of.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAcknowledgements;

impl AcknowledgementSink for NoAcknowledgements {
    fn send(&mut self, _: Acknowledgements) {}
}

/// The label that stands for the answer to a live signal.
const LIVE_RESPONSE: &str = "live-response";

/// What is known so far about a signal whose requester wants to know.
#[derive(Debug)]
pub(crate) struct Ledger {
    signal: Arc<RoutedSignal>,
    connections: Vec<OfConnection>,
    /// Tells it from the ledgers of other signals.
    id: u64,
}

#[derive(Debug)]
struct OfConnection {
    connection: Arc<CompiledConnection>,
    /// The targets that issue a label that is asked for, in the order of the definition.
    targets: Vec<OfTarget>,
}

#[derive(Debug)]
struct OfTarget {
    target: Arc<CompiledTarget>,
    label: Box<str>,
    /// Whether it may say that nothing was published.
    may_be_weak: bool,
    /// Ended without a record, in failure.
    failure: Option<DeliverError>,
    records: SmallVec<[OfRecord; 1]>,
}

#[derive(Debug)]
struct OfRecord {
    token: Token,
    written: Option<Written>,
    result: Option<Result<Delivered, DeliverError>>,
}

impl Ledger {
    /// A ledger, if a label is asked for that a target of these connections issues.
    pub(crate) fn open(
        signal: &Arc<RoutedSignal>,
        connections: &[Arc<CompiledConnection>],
    ) -> Option<Box<Self>> {
        if !connections.iter().any(|connection| connection.issues_labels()) {
            return None;
        }
        let message = signal.signal();
        if message.entity().kind() == EntityKind::None {
            return None;
        }
        let requested = message.headers().requested_acks();
        let only_built_in = requested.iter().all(|label| AckLabel::BUILT_IN.contains(&label.as_str()));
        let of_target = |target: &Arc<CompiledTarget>| {
            let label = target.issued_label()?;
            awaits(message, label).then(|| OfTarget {
                target: target.clone(),
                label: label.into(),
                may_be_weak: !only_built_in && requested.iter().any(|requested| requested == label),
                failure: None,
                records: SmallVec::new(),
            })
        };
        let connections: Vec<_> = connections
            .iter()
            .filter(|connection| connection.admits(signal))
            .map(|connection| OfConnection {
                connection: connection.clone(),
                targets: connection.targets().iter().filter_map(of_target).collect(),
            })
            .filter(|of_connection| !of_connection.targets.is_empty())
            .collect();
        (!connections.is_empty()).then(|| Box::new(Self { signal: signal.clone(), connections, id: 0 }))
    }

    fn of_target(&mut self, target: &Arc<CompiledTarget>) -> Option<&mut OfTarget> {
        let mut targets = self.connections.iter_mut().flat_map(|of_connection| &mut of_connection.targets);
        targets.find(|of_target| Arc::ptr_eq(&of_target.target, target))
    }

    pub(crate) fn signal(&self) -> &Signal {
        self.signal.signal()
    }

    /// Counts what is to be said at the targets that say it, and writes it into their journal if it is not good.
    pub(crate) fn count(&self) {
        for of_target in self.connections.iter().flat_map(|of_connection| &of_connection.targets) {
            let target = &of_target.target;
            let results = of_target.records.iter().map(|record| match &record.result {
                Some(Err(error)) => Some(error),
                _ => None,
            });
            for error in of_target.failure.iter().map(Some).chain(results) {
                target.counters().acknowledge(error.is_none());
                if let Some(error) = error {
                    target.journal().write(Entry {
                        time: SystemTime::now(),
                        category: EntryCategory::Target,
                        step: Step::Acknowledged,
                        level: EntryLevel::Failure,
                        address: Some(target.shared_address().clone()),
                        about: About::of(self.signal()),
                        message: format!("`{}` with status {}", of_target.label, error.kind().status()),
                    });
                }
            }
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn set_id(&mut self, id: u64) {
        self.id = id;
    }

    /// How long the requester waits, if the signal says so.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.signal.signal().headers().timeout().filter(|timeout| !timeout.is_zero())
    }

    /// There is a record to be published.
    pub(crate) fn opened(&mut self, target: &Arc<CompiledTarget>, token: Token) {
        if let Some(of_target) = self.of_target(target) {
            of_target.records.push(OfRecord { token, written: None, result: None });
        }
    }

    /// What was handed to the client.
    pub(crate) fn enqueued(&mut self, target: &Arc<CompiledTarget>, token: Token, written: Written) {
        if let Some(record) = self.of_target(target).and_then(|it| it.open_record(token)) {
            record.written = Some(written);
        }
    }

    /// How a record ended.
    pub(crate) fn completed(
        &mut self,
        target: &Arc<CompiledTarget>,
        token: Token,
        result: Result<Delivered, DeliverError>,
    ) {
        if let Some(record) = self.of_target(target).and_then(|it| it.open_record(token)) {
            record.result = Some(result);
        }
    }

    /// A record was left out on purpose.
    pub(crate) fn dropped(&mut self, target: &Arc<CompiledTarget>, token: Token) {
        if let Some(of_target) = self.of_target(target) {
            of_target.records.retain(|record| record.token != token || record.result.is_some());
        }
    }

    /// The requester waits no longer: what has no result counts as failed by what ails its target.
    pub(crate) fn give_up(&mut self, trouble: impl Fn(&CompiledTarget) -> Option<DeliverError>) {
        for of_target in self.connections.iter_mut().flat_map(|of_connection| &mut of_connection.targets) {
            let mut error = None;
            let records = &mut of_target.records;
            for record in records.iter_mut().filter(|record| record.result.is_none()) {
                let error = error.get_or_insert_with(|| {
                    trouble(&of_target.target).unwrap_or_else(|| {
                        let kind = DeliverErrorKind::Connection(Refusal { retriable: true });
                        DeliverError::new(
                            kind,
                            "not acknowledged by the brokers in time; it is still being tried",
                        )
                    })
                });
                record.result = Some(Err(error.clone()));
            }
        }
    }

    /// A target ended without any record.
    pub(crate) fn ended(&mut self, target: &Arc<CompiledTarget>, outcome: &Outcome) {
        if let (Some(of_target), Outcome::Failed(error)) = (self.of_target(target), outcome) {
            of_target.failure = Some(error.clone());
        }
    }

    /// Nobody can tell who may read the signal: so it failed, for whoever would have been asked.
    pub(crate) fn fail(&mut self, error: &DeliverError) {
        for of_target in self.connections.iter_mut().flat_map(|of_connection| &mut of_connection.targets) {
            of_target.failure = Some(error.clone());
        }
    }

    /// What is to be said, once every outcome is final: of each connection the weak ones first, then those that
    /// failed before a send, then those of sends.
    pub(crate) fn acknowledgements(&self) -> impl Iterator<Item = Acknowledgements> {
        self.connections.iter().flat_map(|of_connection| {
            let signal = self.signal.signal();
            let weak = of_connection
                .targets
                .iter()
                .filter(|of_target| of_target.is_silent() && of_target.may_be_weak);
            let weak = weak.map(|of_target| {
                Acknowledgement::weak(
                    signal,
                    &of_target.label,
                    "the signal was not published: no topic, namespace or \
                                      subject of this target matched, or it was dropped",
                )
            });
            // Each by itself: nothing was sent that they could go with.
            let unsent = of_connection.targets.iter().filter_map(|of_target| {
                let error = of_target.failure.as_ref().filter(|error| error.kind().is_before_send())?;
                let status = error.kind().status();
                let failed = Acknowledgement::failed(signal, &of_target.label, status, &error.to_string());
                Acknowledgements::of(signal, vec![failed])
            });
            // Shared by messages and targets, which is one after the other as in the reference: by records.
            let records =
                of_connection.targets.iter().map(|of_target| of_target.records.len()).sum::<usize>();
            let quota = QUOTA / records.max(1);
            let sent = of_connection.targets.iter().flat_map(|of_target| {
                let failure = of_target.failure.iter().filter(|error| !error.kind().is_before_send());
                let failure = failure.map(failed);
                let answers = of_target
                    .records
                    .iter()
                    .map(move |record| record.answer(&of_connection.connection, quota));
                failure.chain(answers).map(|(status, value)| {
                    let id = of_connection.connection.id();
                    Acknowledgement::of_send(signal, id, &of_target.label, status, value)
                })
            });
            let weak = Acknowledgements::of(signal, weak.collect());
            weak.into_iter().chain(unsent).chain(Acknowledgements::of(signal, sent.collect()))
        })
    }
}

impl OfTarget {
    fn open_record(&mut self, token: Token) -> Option<&mut OfRecord> {
        self.records.iter_mut().find(|record| record.token == token && record.result.is_none())
    }

    fn is_silent(&self) -> bool {
        self.failure.is_none() && self.records.is_empty()
    }
}

impl OfRecord {
    /// Status and JSON text of the value.
    fn answer(&self, connection: &CompiledConnection, quota: usize) -> (u16, Option<String>) {
        match (&self.result, &self.written) {
            (Some(Err(error)), _) => failed(error),
            (Some(Ok(delivered)), Some(written)) if connection.is_debug_enabled() => {
                (200, Some(metadata(written, delivered, quota)))
            }
            _ => (204, None),
        }
    }
}

/// Whether whoever sent a signal waits for an acknowledgement of that label.
pub(crate) fn awaits(signal: &Signal, label: &str) -> bool {
    match label {
        LIVE_RESPONSE => awaits_live_response(signal),
        label => signal.headers().requested_acks().iter().any(|requested| requested == label),
    }
}

/// A `live-response` is due for live messages and commands that want a response (outbound.md §6.1).
fn awaits_live_response(signal: &Signal) -> bool {
    signal.headers().is_response_required()
        && (signal.is_message() || signal.is_live() && signal.category() == Category::Command)
}

fn failed(error: &DeliverError) -> (u16, Option<String>) {
    let code = match error.kind() {
        DeliverErrorKind::AddressInvalid => Some("connectivity:connection.configuration.invalid"),
        DeliverErrorKind::AddressUnresolved => Some("placeholder:unresolved"),
        DeliverErrorKind::Mapping => Some("connectivity:message.mapping.failed"),
        _ => None,
    };
    let mut value = Map::new();
    if let Some(code) = code {
        value.insert("error".to_owned(), code.into());
    }
    value.insert("message".to_owned(), error.to_string().into());
    value.insert("description".to_owned(), error.kind().remedy().into());
    (error.kind().status(), Some(Value::Object(value).to_string()))
}

/// What the values of all acknowledgements of a signal may take together, by the reference's reckoning (outbound.md §6.4).
const QUOTA: usize = 100_000;

/// Metadata of a record, in the order of the reference: as many members as `quota` allows.
fn metadata(written: &Written, delivered: &Delivered, mut quota: usize) -> String {
    let members = [
        ("timestamp", delivered.timestamp_ms.map(Value::from)),
        ("serializedKeySize", Some(written.key_size.map_or(json!(-1), |size| json!(size)))),
        ("serializedValueSize", Some(written.value_size.into())),
        ("topic", Some(written.topic.as_str().into())),
        ("partition", Some(delivered.partition.into())),
        ("offset", delivered.offset.map(Value::from)),
    ];
    let mut value = Map::new();
    for (name, member) in members.into_iter().filter_map(|(name, member)| Some((name, member?))) {
        let size = name.len() + member.as_str().map_or(8, str::len);
        if let Some(left) = quota.checked_sub(size) {
            quota = left;
            value.insert(name.to_owned(), member);
        }
    }
    Value::Object(value).to_string()
}
