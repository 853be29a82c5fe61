//! How a signal ends for one target. There is no fourth way.

use std::fmt;
use std::sync::Arc;

/// How one signal ended for one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every record of the signal for this target was acknowledged by the brokers.
    Published,
    /// Left out on purpose.
    Dropped(DropReason),
    /// Lost unless somebody acts.
    Failed(DeliverError),
}

/// Why a target is not selected for a signal of its kind and namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PassedOver {
    /// No subject of the target may read anything of the thing, as far as is known.
    Unauthorized,
    /// A subject of the target may not read the thing, although another one may: the feed says so.
    Revoked,
    /// The signal came from this connection.
    Origin,
    /// An announcement about another connection.
    OtherConnection,
}

impl PassedOver {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 4] = [Self::Unauthorized, Self::Revoked, Self::Origin, Self::OtherConnection];

    /// The name under which this reason is counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Revoked => "revoked",
            Self::Origin => "origin",
            Self::OtherConnection => "other-connection",
        }
    }
}

/// Why a selected target gets nothing of a signal, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// No subject of the target may read the signal.
    NotReadable,
    /// Each subject of the target that may read the thing may read a part of it only, and nothing of what the signal says.
    Restricted,
    /// No topic of the target has a filter that holds.
    Filtered,
    /// A live signal came, or could go out again, only after its time-out: whoever sent it waits no more.
    Expired,
    /// The target or its connection was on hold, and its operator wants such signals dropped (`on_hold = "drop"`).
    OnHold,
    /// The connection was closed before the signal could be published.
    Closed,
    /// No payload mapper of the target made a message of it.
    Unmapped,
}

impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 7] = [
        Self::NotReadable,
        Self::Restricted,
        Self::Filtered,
        Self::Expired,
        Self::OnHold,
        Self::Closed,
        Self::Unmapped,
    ];

    /// The name under which this reason is counted and explained.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotReadable => "not-readable",
            Self::Restricted => "restricted",
            Self::Filtered => "filtered",
            Self::Expired => "expired",
            Self::OnHold => "on-hold",
            Self::Closed => "closed",
            Self::Unmapped => "unmapped",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReadable => "no subject of the target may read this signal",
            Self::Restricted => "the target's subjects may read nothing of what this signal says",
            Self::Filtered => "no filter of the target's topics holds",
            Self::Expired => "its time-out had passed before it could be published",
            Self::OnHold => "the target or its connection was on hold, and on_hold is \"drop\"",
            Self::Closed => "the connection was closed before it could be published",
            Self::Unmapped => "no payload mapper of the target made a message of it",
        })
    }
}

/// Why a signal could not be delivered to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliverError {
    kind: DeliverErrorKind,
    detail: Arc<str>,
}

/// The ways in which a delivery fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeliverErrorKind {
    /// A placeholder of the address has no value for this signal.
    AddressUnresolved,
    /// The resolved address is no legal topic or partition.
    AddressInvalid,
    /// The brokers or the client refused this record.
    Record(Refusal),
    /// The brokers refused the batch that the record was in, as too large; alone it may be taken.
    Batch(Refusal),
    /// The topic cannot be written to: unknown, or not permitted.
    Target(Refusal),
    /// The cluster cannot be reached or refuses us.
    Connection(Refusal),
    /// The producer itself broke.
    Producer(Refusal),
    /// The thing whose fields are to go with the signal is gone, or may not be read.
    ThingAbsent,
    /// The thing whose fields are to go with the signal is not known, and there is nobody to wait for.
    ThingUnknown,
    /// A payload mapper failed.
    Mapping,
}

/// What an acknowledgement says of a refused record (outbound.md §6.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// Whether the reference calls this error retriable: status 500, otherwise 400.
    pub retriable: bool,
}

impl DeliverErrorKind {
    /// The names under which failures are counted, in the order of their counters.
    pub const NAMES: [&'static str; 10] = [
        "address-unresolved",
        "address-invalid",
        "record",
        "batch",
        "target",
        "connection",
        "producer",
        "thing-absent",
        "thing-unknown",
        "mapping",
    ];

    /// The name under which this kind is counted and explained.
    pub fn name(self) -> &'static str {
        Self::NAMES.get(self.index()).copied().unwrap_or_default()
    }

    /// The position of this kind's counter in [`Self::NAMES`].
    pub fn index(self) -> usize {
        match self {
            Self::AddressUnresolved => 0,
            Self::AddressInvalid => 1,
            Self::Record(_) => 2,
            Self::Batch(_) => 3,
            Self::Target(_) => 4,
            Self::Connection(_) => 5,
            Self::Producer(_) => 6,
            Self::ThingAbsent => 7,
            Self::ThingUnknown => 8,
            Self::Mapping => 9,
        }
    }

    /// Whether it ended before there was anything to send.
    pub(crate) fn is_before_send(self) -> bool {
        matches!(self, Self::ThingAbsent | Self::ThingUnknown)
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::AddressUnresolved => {
                "use a placeholder that every signal of this target has, or a key that is constant"
            }
            Self::AddressInvalid => {
                "make the placeholders of the address resolve to a legal topic and partition"
            }
            Self::Record(_) => "check the size, key and partition of the record against the topic's limits",
            Self::Batch(_) => {
                "let the topic take larger batches (max.message.bytes), or send smaller ones (producer.batch_bytes)"
            }
            Self::Target(_) => "create the topic, or permit the connection's user to write to it",
            Self::Connection(_) => "check brokers, user, password and certificates of the connection",
            Self::Producer(_) => "the producer is made anew; send the signal again",
            Self::ThingAbsent => "let the service read the thing, or leave `extraFields` out",
            Self::ThingUnknown => {
                "let the signals of the feed carry the fields as `extra`, or leave `extraFields` out"
            }
            Self::Mapping => "mend the payload mapper; `ditto-connectivity explain` shows what it is given",
        }
    }

    /// The status of the acknowledgement (outbound.md §3, §6.4; an unresolved address is 400, design §8).
    pub fn status(self) -> u16 {
        match self {
            Self::AddressUnresolved | Self::AddressInvalid | Self::Mapping => 400,
            Self::ThingAbsent => 404,
            Self::ThingUnknown => 500,
            Self::Record(refusal)
            | Self::Batch(refusal)
            | Self::Target(refusal)
            | Self::Connection(refusal)
            | Self::Producer(refusal) => {
                if refusal.retriable {
                    500
                } else {
                    400
                }
            }
        }
    }
}

impl DeliverError {
    /// An error of a publishing client; `detail` is its own text.
    pub fn new(kind: DeliverErrorKind, detail: impl Into<Arc<str>>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// A placeholder of `template` has no value.
    pub fn address_unresolved(template: &str) -> Self {
        Self::new(DeliverErrorKind::AddressUnresolved, template)
    }

    /// `reason` says what is wrong with the resolved address.
    pub fn address_invalid(reason: &dyn fmt::Display) -> Self {
        Self::new(DeliverErrorKind::AddressInvalid, reason.to_string())
    }

    /// The thing whose fields are to go with the signal is gone.
    pub fn thing_absent() -> Self {
        Self::new(DeliverErrorKind::ThingAbsent, "there is no such thing, or it may not be read")
    }

    /// The thing whose fields are to go with the signal is not known; `reason` says why.
    pub fn thing_unknown(reason: &str) -> Self {
        Self::new(DeliverErrorKind::ThingUnknown, reason)
    }

    /// A payload mapper failed; `reason` says which and why.
    pub fn mapping(reason: &dyn fmt::Display) -> Self {
        Self::new(DeliverErrorKind::Mapping, reason.to_string())
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> DeliverErrorKind {
        self.kind
    }

    /// The text of the failure's cause.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for DeliverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = &*self.detail;
        match self.kind {
            DeliverErrorKind::AddressUnresolved => {
                write!(f, "address `{detail}` has a placeholder without a value")
            }
            DeliverErrorKind::AddressInvalid => write!(f, "invalid address: {detail}"),
            DeliverErrorKind::Record(_) => write!(f, "record refused: {detail}"),
            DeliverErrorKind::Batch(_) => write!(f, "batch refused: {detail}"),
            DeliverErrorKind::Target(_) => write!(f, "topic refused: {detail}"),
            DeliverErrorKind::Connection(_) => write!(f, "cluster not available: {detail}"),
            DeliverErrorKind::Producer(_) => write!(f, "producer failed: {detail}"),
            DeliverErrorKind::ThingAbsent | DeliverErrorKind::ThingUnknown => {
                write!(f, "no extra fields: {detail}")
            }
            DeliverErrorKind::Mapping => write!(f, "not mapped: {detail}"),
        }
    }
}

impl std::error::Error for DeliverError {}
