//! A signal on its way to targets.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use ditto_authorization::{Cut, Decision, Enforcer, Grants, View};
use ditto_mapping::MapperList;
use ditto_protocol::{Category, EntityKind, Signal};
use smallvec::SmallVec;

use crate::asked::{Asked, Shown};
use crate::dead_letter::Source;
use crate::mappers::Mapping;
use crate::target::CompiledTarget;

/// A signal, who may get it, and what has been mapped of it.
pub struct RoutedSignal {
    signal: Signal,
    /// Where it comes from, if that is to be kept.
    source: Option<Arc<Source>>,
    /// Until the directory has told: nobody.
    audience: OnceLock<Audience>,
    /// The current state of its thing, once it was asked for.
    thing: OnceLock<ThingState>,
    made: Mutex<Made>,
}

/// What has been made of a signal for one target, and serves others. Held only while the signal is being routed.
#[derive(Default)]
struct Made {
    /// Payloads by the labels that they request.
    payloads: SmallVec<[(RequestedAcks, Bytes); 1]>,
    /// What mappers have made of it, by their list and the labels that it requests.
    mappings: Vec<(MapperList, RequestedAcks, Arc<Mapping>)>,
    /// The same signal with something of its thing.
    enriched: Vec<Arc<RoutedSignal>>,
    /// The same signal as some may see it, if it has anything for them.
    viewed: Vec<(View, Option<Arc<RoutedSignal>>)>,
    /// What it shows of its thing, as far as filters ask for it.
    shown: SmallVec<[(Arc<Asked>, Shown); 1]>,
    /// What of its thing some get.
    retrieved: Vec<(View, ThingState)>,
}

/// What is known of the thing that a signal is about.
#[derive(Debug, Clone)]
pub(crate) enum ThingState {
    /// Its JSON text.
    Known(Arc<str>),
    /// There is none.
    Absent,
    /// Nobody knows, and why not.
    Unknown(Arc<str>),
}

impl ThingState {
    fn cut(&self, view: &View) -> Self {
        match self {
            Self::Known(thing) => match view.cut("/", thing) {
                Cut::Whole => self.clone(),
                Cut::Part(part) => Self::Known(part.into()),
                Cut::Nothing => Self::Known("{}".into()),
            },
            other => other.clone(),
        }
    }
}

/// Who may get a signal.
#[derive(Debug, Clone)]
pub(crate) enum Audience {
    /// Targets with one of these subjects: those that may read a thing, or those that a policy announcement names.
    Subjects(Arc<Grants>),
    /// Targets with subjects that the policy of its thing lets read. The grants are what it says of this signal.
    Policy(Arc<Enforcer>, Arc<Grants>),
    /// Nobody, and why.
    Nobody(Unreadable),
    /// Targets of the connection that the announcement is about.
    OwnConnection,
}

/// Why nobody gets a signal that targets want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Its thing has no policy, or there is no such thing.
    PolicyAbsent,
    /// Nobody knows its policy, and why not; the feed does not wait.
    PolicyUnknown(Arc<str>),
}

impl Unreadable {
    /// The names under which these signals are counted.
    pub(crate) const NAMES: [&'static str; 2] = ["policy-absent", "policy-unknown"];

    pub(crate) fn name(&self) -> &'static str {
        Self::NAMES.get(self.index()).copied().unwrap_or_default()
    }

    /// The position of its counter.
    pub(crate) fn index(&self) -> usize {
        match self {
            Self::PolicyAbsent => 0,
            Self::PolicyUnknown(_) => 1,
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PolicyAbsent => {
                f.write_str("its thing or policy is gone, or may not be read by the directory")
            }
            Self::PolicyUnknown(why) => write!(f, "the policy of its thing is not known: {why}"),
        }
    }
}

/// The labels that a payload requests: those of the signal, or fewer.
pub(crate) type RequestedAcks = Option<Vec<String>>;

impl RoutedSignal {
    /// A signal whose audience is known, or is that which [`Self::tell_of_audience`] tells.
    pub(crate) fn new(signal: Signal, audience: Option<Audience>) -> Self {
        Self {
            signal,
            source: None,
            audience: audience.map(OnceLock::from).unwrap_or_default(),
            thing: OnceLock::new(),
            made: Mutex::default(),
        }
    }

    /// The same with where it comes from.
    pub(crate) fn with_source(self, source: Option<Arc<Source>>) -> Self {
        Self { source, ..self }
    }

    /// Where it comes from, if that is kept.
    pub(crate) fn source(&self) -> Option<&Arc<Source>> {
        self.source.as_ref()
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that it holds, nearly.
    pub(crate) fn size(&self) -> usize {
        self.signal.size()
    }

    /// What is known of its thing: what was told, else what it carries itself.
    pub(crate) fn thing(&self) -> &ThingState {
        self.thing.get_or_init(|| match self.signal.extra() {
            Some(extra) => ThingState::Known(extra.into()),
            None => ThingState::Unknown(
                "the signal carries nothing of its thing, and there is no directory".into(),
            ),
        })
    }

    /// Tells it of its thing, unless it has been told.
    pub(crate) fn tell_of_thing(&self, thing: ThingState) {
        // What it was told first counts for all of its targets. What was cut from it before did not know.
        let _known = self.thing.set(thing);
        let mut made = self.made();
        made.viewed.clear();
        made.retrieved.clear();
    }

    /// What it shows of its thing, as far as the filters of the target's connection ask for it.
    pub(crate) fn shown_thing(&self, target: &CompiledTarget) -> Shown {
        let (mut made, asked) = (self.made(), target.asked());
        if let Some((_, known)) = made.shown.iter().find(|(known, _)| Arc::ptr_eq(known, asked)) {
            return known.clone();
        }
        let shown = asked.shown_by(&self.signal);
        made.shown.push((asked.clone(), shown.clone()));
        shown
    }

    /// The same signal, cut down to a view; `None` if that leaves nothing of it.
    pub(crate) fn viewed(self: &Arc<Self>, view: &View) -> Option<Arc<Self>> {
        let mut made = self.made();
        if let Some((_, known)) = made.viewed.iter().find(|(known, _)| known == view) {
            return known.clone();
        }
        let cut = self.cut(view);
        made.viewed.push((view.clone(), cut.clone()));
        cut
    }

    fn cut(&self, view: &View) -> Option<Arc<Self>> {
        if self.signal.category() != Category::Event {
            // Views are of things: what else is said to somebody who may read parts is not understood, and so not told.
            return None;
        }
        let mut signal = match view.cut_value(&self.signal) {
            Cut::Whole => self.signal.clone(),
            Cut::Part(part) => self.signal.with_value(Some(&part)),
            Cut::Nothing => return None,
        };
        match self.signal.extra().map(|extra| view.cut_extra(extra)) {
            None | Some(Cut::Whole) => {}
            Some(Cut::Part(part)) => signal = signal.with_extra(Some(&part)),
            Some(Cut::Nothing) => signal = signal.with_extra(Some("{}")),
        }
        let cut = Self::new(signal, self.audience().cloned());
        if let Some(thing) = self.thing.get() {
            cut.tell_of_thing(thing.cut(view));
        }
        Some(Arc::new(cut))
    }

    /// The same signal with fields of its thing, as JSON text.
    pub(crate) fn with_extra(&self, extra: &str) -> Arc<Self> {
        let mut made = self.made();
        if let Some(known) = made.enriched.iter().find(|known| known.signal.extra() == Some(extra)) {
            return known.clone();
        }
        let with_extra = Arc::new(Self::new(self.signal.with_extra(Some(extra)), self.audience().cloned()));
        made.enriched.push(with_extra.clone());
        with_extra
    }

    /// The signal as it was decoded.
    pub fn signal(&self) -> &Signal {
        &self.signal
    }

    /// Who may get it, if that is known.
    pub(crate) fn audience(&self) -> Option<&Audience> {
        self.audience.get()
    }

    /// Tells it who may get it, unless that is known.
    pub(crate) fn tell_of_audience(&self, audience: Audience) {
        // A decision is made once: all of its targets are judged by the same policy.
        let _known = self.audience.set(audience);
    }

    /// The same signal as it came: what a directory has said of it may be old when it is asked again.
    pub(crate) fn untold(&self) -> Arc<Self> {
        let of_directory =
            |audience: &&Audience| matches!(audience, Audience::Policy(..) | Audience::Nobody(_));
        let audience = self.audience().filter(|audience| !of_directory(audience));
        Arc::new(Self::new(self.signal.clone(), audience.cloned()).with_source(self.source.clone()))
    }

    pub(crate) fn decide(&self, target: &CompiledTarget) -> Decision {
        match self.audience() {
            Some(Audience::Subjects(grants)) => grants.decide(target.context()),
            Some(Audience::Policy(enforcer, _)) => enforcer.decide(target.context(), &self.signal),
            Some(Audience::OwnConnection) if self.is_about(target.connection_id()) => Decision::Granted,
            Some(Audience::OwnConnection | Audience::Nobody(_)) | None => Decision::Denied,
        }
    }

    /// What a target's subjects get of its thing when it is retrieved for them: less than they see of events, maybe, since a
    /// revoke for one of them counts for all (policies.md §7). Without a policy at hand, what the signal shows.
    pub(crate) fn retrieved_thing(&self, target: &CompiledTarget) -> ThingState {
        let Some(Audience::Policy(enforcer, _)) = self.audience() else { return self.thing().clone() };
        let view = enforcer.enrichment_view(target.context());
        let mut made = self.made();
        if let Some((_, known)) = made.retrieved.iter().find(|(known, _)| *known == view) {
            return known.clone();
        }
        let retrieved = self.thing().cut(&view);
        made.retrieved.push((view, retrieved.clone()));
        retrieved
    }

    /// Whether a subject of the target is revoked: then the target is not selected at all.
    pub(crate) fn is_revoked_for(&self, target: &CompiledTarget) -> bool {
        match self.audience() {
            Some(Audience::Subjects(grants) | Audience::Policy(_, grants)) => {
                grants.is_revoked(target.context())
            }
            Some(Audience::OwnConnection | Audience::Nobody(_)) | None => false,
        }
    }

    /// Whether its policy lets a subject of the target read some part of what it is of: then the index selects the target.
    pub(crate) fn is_selected_for(&self, target: &CompiledTarget) -> bool {
        let Some(Audience::Policy(_, grants)) = self.audience() else { return false };
        grants.decide(target.context()) != Decision::Denied
    }

    /// Whether it is about the connection of that id.
    pub(crate) fn is_about(&self, connection_id: &str) -> bool {
        let entity = self.signal.entity();
        entity.kind() == EntityKind::Connection && entity.name() == connection_id
    }

    /// Until when somebody waits for a live signal that the feed took at this time; none if nobody does, or if it is not
    /// live. Both in milliseconds since 1970. Without a time-out of its own it has the service's (protocol.md §8).
    pub(crate) fn expires_ms(&self, taken_ms: i64) -> Option<i64> {
        const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
        let signal = &self.signal;
        if !(signal.is_message() || signal.is_live() && signal.category() == Category::Command) {
            return None;
        }
        let timeout = match signal.headers().timeout() {
            Some(timeout) => Some(timeout).filter(|timeout| !timeout.is_zero()),
            None => signal.headers().is_response_required().then_some(DEFAULT_TIMEOUT),
        }?;
        Some(taken_ms.saturating_add(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The payload that requests `labels`; written by `write` if no target needed it before.
    pub(crate) fn payload(
        &self,
        labels: RequestedAcks,
        write: impl FnOnce(&RequestedAcks) -> Bytes,
    ) -> Bytes {
        let mut made = self.made();
        if let Some((_, payload)) = made.payloads.iter().find(|(known, _)| *known == labels) {
            return payload.clone();
        }
        let payload = write(&labels);
        made.payloads.push((labels, payload.clone()));
        payload
    }

    /// What the mappers of a list make of it if it requests `labels`; made by `map` if no target needed it before.
    pub(crate) fn mapping(
        &self,
        list: &MapperList,
        labels: RequestedAcks,
        map: impl FnOnce(&RequestedAcks) -> Mapping,
    ) -> Arc<Mapping> {
        let is_same = |(known, requested, _): &&(MapperList, RequestedAcks, Arc<Mapping>)| {
            known == list && *requested == labels
        };
        // The lock is not held while mappers look at the signal.
        if let Some((_, _, mapping)) = self.made().mappings.iter().find(is_same) {
            return mapping.clone();
        }
        let mapping = Arc::new(map(&labels));
        self.made().mappings.push((list.clone(), labels, mapping.clone()));
        mapping
    }

    /// Every target has been looked at: an acknowledgement that is awaited need not hold what was made for them.
    pub(crate) fn forget_made(&self) {
        *self.made() = Made::default();
    }
}

impl fmt::Debug for RoutedSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutedSignal")
            .field("topic", &self.signal.topic())
            .field("path", &self.signal.path())
            .finish_non_exhaustive()
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// A signal for one target that the index has selected.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    pub(crate) signal: Arc<RoutedSignal>,
    pub(crate) target: Arc<CompiledTarget>,
}
