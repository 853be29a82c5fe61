//! The feed of a real Ditto, with the policies of each moment, through lanes for its other connections: what it wrote for
//! them, record by record.
//!
//! Where the moment is not plain:
//! - A signal of operation n is decided by the policies as they were read after the last operation before n. Policies that an
//!   operation makes with its thing hold for it already. What no operation of ours has brought about comes after the last
//!   operation that had been answered when its record was written (`moments.ndjson`).
//! - An event that gives a thing another policy is decided by the one before, a deletion by the last one.
//! - The thing beside a signal is the one after the event; beside a message or a live signal that after the last event before
//!   it in the feed; beside its deletion the last one, as in Ditto's cache.
//! - Subjects expire by the time at which the feed's record came. No time-out is looked at: nobody waits any more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use bytes::Bytes;
use ditto_authorization::{AuthorizationContext, Decision, Enforcer};
use ditto_connection::Draft;
use ditto_connectivity::{read_definition, run_options};
use ditto_outbound::{
    AcknowledgementSink, CompiledConnection, Directory, DirectoryAnswer, FeedPolicy, Intake, Lane,
    NoAcknowledgements, RecordingLeaf, ReplayFeed, Sent,
};
use ditto_protocol::{Limits, Signal};
use ditto_tests::corpus::{
    self, CorpusConnection, CorpusDifferences, CorpusRecord, Moments, Ours, Row, TargetRecord, Things,
};
use expect_test::{Expect, expect};
use futures_util::FutureExt;
use serde_json::{Map, Value, json};

/// Mapped headers that show what is internal to Ditto: read subjects, the authorization context, the paths of who reads
/// parts. A feed as any consumer gets it does not have them, so we leave those headers out.
const INTERNAL: [(&str, &str); 3] = [("t-hdr", "rs"), ("t-hdr", "subject"), ("t-name", "partial")];
/// A mapped header that shows the time.
const CLOCK: (&str, &str) = ("t-hdr", "ts");

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/corpus")
}

pub(super) fn feed() -> Result<Vec<CorpusRecord>> {
    corpus::load(&folder().join("feed.ndjson"))
}

/// What a directory says when a signal of the feed comes along.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    record: u64,
    topic: String,
    enforcer: Option<Arc<Enforcer>>,
    thing: Arc<str>,
}

/// Knows the policies and things of the moment of each signal.
#[derive(Debug)]
struct Then {
    coming: VecDeque<Moment>,
    now: Option<Moment>,
}

impl Directory for Then {
    fn observe(&mut self, signal: &Signal) {
        self.now = self.coming.pop_front();
        assert_eq!(self.now.as_ref().map(|now| now.topic.as_str()), Some(signal.topic()));
    }

    fn enforcer(&mut self, _: &Signal) -> DirectoryAnswer<Arc<Enforcer>> {
        let enforcer = self.now.as_ref().and_then(|now| now.enforcer.clone());
        enforcer.map_or(DirectoryAnswer::Absent, DirectoryAnswer::Known)
    }

    fn thing(&mut self, _: &Signal) -> DirectoryAnswer<Arc<str>> {
        let thing = self.now.as_ref().map(|now| now.thing.clone());
        thing.map_or(DirectoryAnswer::Absent, DirectoryAnswer::Known)
    }

    fn poll_answers(&mut self, _: &mut TaskContext<'_>, _: &mut Vec<String>) -> Poll<()> {
        Poll::Pending
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}

/// The moments of the signals about things.
pub(super) fn moments(moments: &Moments, feed: &[CorpusRecord]) -> Result<Vec<Moment>> {
    let mut things = Things::load(&folder())?;
    let mut all = Vec::new();
    for record in feed {
        let signal: Value = serde_json::from_str(&record.value)?;
        let topic = signal["topic"].as_str().context("no topic")?;
        if topic.contains("/announcements/") {
            continue;
        }
        let thing = things.take(&signal).with_context(|| format!("record {}", record.n))?;
        let namespace = topic.split('/').next().unwrap_or_default();
        let enforcer = moments.enforcer(&thing.policy, namespace, moments.of(record)?, record.received)?;
        let thing = thing.state.to_string().into();
        all.push(Moment { record: record.n, topic: topic.to_owned(), enforcer, thing });
    }
    Ok(all)
}

/// Takes the feed through a lane for a connection.
fn publish(definition: &Value, feed: &[CorpusRecord], moments: &[Moment]) -> Result<Vec<Sent>> {
    publish_to(definition, feed, moments, RecordingLeaf::default(), Box::new(NoAcknowledgements))
}

/// The same, to a leaf that answers, for whoever waits for acknowledgements.
pub(super) fn publish_to(
    definition: &Value,
    feed: &[CorpusRecord],
    moments: &[Moment],
    leaf: RecordingLeaf,
    acknowledgements: Box<dyn AcknowledgementSink>,
) -> Result<Vec<Sent>> {
    let connection = read_definition(Draft::of_file(&definition.to_string()))?;
    let bytes = |text: &String| Bytes::from(text.clone());
    let records = feed.iter().map(|record| {
        let headers = record.headers.iter().map(|(name, value)| (bytes(name), bytes(value)));
        (bytes(&record.value), headers.collect())
    });
    let connections = vec![(CompiledConnection::compile(&connection, &run_options()), leaf.clone())];
    let intake = Intake::new(FeedPolicy::default());
    let lane = Lane::new(ReplayFeed::of_records(records), intake, connections, acknowledgements);
    let is_fed = |moment: &&Moment| feed.iter().any(|record| record.n == moment.record);
    let coming = moments.iter().filter(is_fed).cloned().collect();
    let lane = lane.with_directory(Box::new(Then { coming, now: None }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let _entered = runtime.enter();
    let after = lane.run().now_or_never().context("the lane waits for something")?;
    anyhow::ensure!(after.settled.len() == feed.len(), "{} records have settled", after.settled.len());
    Ok(leaf.sent())
}

/// A record without where it lies.
#[derive(Debug, Clone, PartialEq)]
struct Written {
    key: Option<String>,
    /// In no order: the reference keeps them in none.
    headers: BTreeMap<String, String>,
    message: Value,
}

impl Written {
    fn new(key: Option<&String>, headers: &[(String, String)], message: Value) -> Self {
        let names: BTreeSet<&String> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), headers.len(), "a header occurs twice: {headers:?}");
        Self { key: key.cloned(), headers: headers.iter().cloned().collect(), message }
    }

    fn signal(&self) -> SignalId {
        SignalId::of(&self.message)
    }
}

impl From<&TargetRecord> for Written {
    fn from(record: &TargetRecord) -> Self {
        Self::new(record.key.as_ref(), &record.headers, record.value.clone())
    }
}

/// What tells a signal from all others of the corpus.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SignalId(String);

impl SignalId {
    fn of(message: &Value) -> Self {
        let own = [
            &message["topic"],
            &message["path"],
            &message["revision"],
            &message["headers"]["correlation-id"],
        ];
        Self(json!(own).to_string())
    }
}

/// Records of one topic with one key about one thing: those have an order.
type Sequence = (String, Option<String>, String);

fn sequence(topic: &str, written: &Written) -> Sequence {
    let about: Vec<&str> = written.message["topic"].as_str().unwrap_or_default().splitn(3, '/').collect();
    (topic.to_owned(), written.key.clone(), about[..2].join(":"))
}

struct Replay {
    name: &'static str,
    feed: Vec<CorpusRecord>,
    messages: BTreeMap<SignalId, (u64, Value)>,
    moments: Moments,
    differences: CorpusDifferences,
    connection_id: String,
    findings: Vec<String>,
    counts: BTreeMap<String, usize>,
}

impl Replay {
    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    /// Why the feed does not have a signal for which Ditto has written a record.
    fn missing(&self, record: &Written) -> Result<String> {
        let topic = record.message["topic"].as_str().unwrap_or_default();
        if topic.starts_with(&format!("_/{}/connections/announcements/", self.connection_id)) {
            return Ok("it is about its own connection".into());
        }
        let id = record.message["headers"]["correlation-id"].as_str().context("no correlation id")?;
        let operation: u64 = id.strip_prefix("op-").context("of no operation")?.parse()?;
        let missing = self.differences.not_in_feed(operation).with_context(|| format!("{id} is missing"))?;
        if let Some(policy) = &missing.policy {
            let namespace = topic.split('/').next().unwrap_or_default();
            let now = self.feed.last().context("no feed")?.received;
            let enforcer = self.moments.enforcer(policy, namespace, operation - 1, now)?;
            let signal = Signal::decode(record.message.to_string().into(), &Limits::default())?;
            let reader: AuthorizationContext = ["integ:reader"].into_iter().collect();
            let decision = enforcer.context("no policy")?.decide(&reader, &signal);
            anyhow::ensure!(decision == Decision::Denied, "{id}: its reader may read it");
        }
        Ok(missing.reason.clone())
    }

    /// What we have to write where the reference has written something else.
    fn ours(&self, theirs: Option<&Written>, message: &Value, ours: &Ours) -> Written {
        let plain = || {
            let id = message["headers"]["correlation-id"].as_str().unwrap_or_default();
            let headers = [
                ("content-type", "application/vnd.eclipse.ditto+json"),
                ("correlation-id", id),
                ("ditto-connection-id", &self.connection_id),
            ];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
            Written { key: None, headers: headers.into(), message: Value::Null }
        };
        let mut written = theirs.cloned().unwrap_or_else(plain);
        written.key = ours.key.clone().or(written.key);
        written.headers.extend(ours.headers.clone());
        written.message = message.clone();
        for (member, value) in [("value", &ours.value), ("extra", &ours.extra)] {
            if let Some(value) = value {
                written.message[member] = value.clone();
            }
        }
        written
    }

    /// Takes what only Ditto can know out of what it has written. Whether there was any.
    fn strip(topic: &str, written: &mut Written) -> bool {
        let of_topic = INTERNAL.iter().filter(|(of, _)| *of == topic);
        of_topic.fold(false, |any, (_, name)| written.headers.remove(*name).is_some() || any)
    }

    fn compare(&mut self, connection: &CorpusConnection, sent: &[Sent], run_ms: (u128, u128)) -> Result<()> {
        let rows: BTreeMap<(String, u64), Row> =
            self.differences.of(self.name).map(|row| ((row.topic.clone(), row.feed), row.clone())).collect();
        let mut unused: BTreeSet<&(String, u64)> = rows.keys().collect();
        let mut ours: BTreeMap<(Sequence, SignalId), Written> = BTreeMap::new();
        let mut our_order: BTreeMap<Sequence, Vec<SignalId>> = BTreeMap::new();
        for sent in sent {
            let message = serde_json::from_slice(&sent.payload)?;
            let mut written = Written::new(sent.key.as_ref(), &sent.headers, message);
            if sent.topic == CLOCK.0 {
                let time: u128 = written.headers.remove(CLOCK.1).context("no time")?.parse()?;
                anyhow::ensure!((run_ms.0..=run_ms.1).contains(&time), "{time} is another time");
            }
            let of = sequence(&sent.topic, &written);
            our_order.entry(of.clone()).or_default().push(written.signal());
            anyhow::ensure!(ours.insert((of, written.signal()), written).is_none(), "written twice");
        }
        let mut their_order: BTreeMap<Sequence, Vec<SignalId>> = BTreeMap::new();
        for record in &connection.records {
            let mut theirs = Written::from(record);
            if record.topic == CLOCK.0 {
                let _: u128 = theirs.headers.remove(CLOCK.1).context("no time")?.parse()?;
            }
            let Some((feed, message)) = self.messages.get(&theirs.signal()).cloned() else {
                let reason = self.missing(&theirs)?;
                self.count(format!("not in the feed, {reason}"));
                continue;
            };
            let at = (record.topic.clone(), feed);
            let row = rows.get(&at);
            unused.remove(&at);
            let has_internal = Self::strip(&record.topic, &mut theirs);
            let expected = match row.map(|row| &row.ours) {
                None => Some(theirs.clone()),
                Some(None) => None,
                Some(Some(ours)) => Some(self.ours(Some(&theirs), &message, ours)),
            };
            if let Some(row) = row {
                let how = if row.ours.is_some() { "differs" } else { "only Ditto" };
                anyhow::ensure!(expected.as_ref() != Some(&theirs), "{at:?} is no difference");
                self.count(format!("{how}: {}", row.class));
            } else {
                self.count(if has_internal { "equal but for internal headers" } else { "equal" });
            }
            if let Some(expected) = &expected {
                their_order.entry(sequence(&record.topic, expected)).or_default().push(expected.signal());
            }
            let of = sequence(&record.topic, expected.as_ref().unwrap_or(&theirs));
            let got = ours.remove(&(of, theirs.signal()));
            self.check(&at, expected, got);
        }
        for ((of, signal), got) in ours {
            let (feed, message) = self.messages.get(&signal).cloned().context("of no signal")?;
            let at = (of.0.clone(), feed);
            let row = rows.get(&at);
            unused.remove(&at);
            let expected = row.and_then(|row| row.ours.as_ref()).map(|ours| self.ours(None, &message, ours));
            if let Some(row) = row {
                self.count(format!("only we: {}", row.class));
            }
            self.check(&at, expected, Some(got));
        }
        self.findings.extend(unused.into_iter().map(|at| format!("{at:?}: there is no such record")));
        for (of, theirs) in &their_order {
            let common: Vec<&SignalId> =
                our_order.get(of).into_iter().flatten().filter(|id| theirs.contains(id)).collect();
            if !common.iter().copied().eq(theirs) {
                self.findings.push(format!("{of:?}: another order\n{theirs:?}\n{common:?}"));
            }
        }
        Ok(())
    }

    fn check(&mut self, at: &(String, u64), expected: Option<Written>, got: Option<Written>) {
        if expected != got {
            self.findings.push(format!("{at:?}\n  expected {expected:?}\n  got      {got:?}"));
        }
    }
}

/// Replays the feed for a connection, from the operation on that has opened it.
#[track_caller]
fn check(name: &'static str, opened_by: u64, expected: Expect) {
    let table = replay(name, opened_by).unwrap();
    expected.assert_eq(&table);
}

fn replay(name: &'static str, opened_by: u64) -> Result<String> {
    let feed = feed()?;
    let connection = corpus::load_connection(&folder().join(format!("targets/{name}.ndjson")), &feed)?;
    let known = Moments::load(&folder())?;
    let moments = moments(&known, &feed)?;
    let is_open = |record: &CorpusRecord| known.of(record).map(|after| after >= opened_by);
    let mut served = Vec::new();
    for record in &feed {
        if is_open(record)? {
            served.push(record.clone());
        }
    }
    let now_ms = || SystemTime::now().duration_since(UNIX_EPOCH).map(|now| now.as_millis());
    let began = now_ms()?;
    let sent = publish(&connection.definition, &served, &moments)?;
    let run_ms = (began, now_ms()?);
    let messages = served.iter().map(|record| {
        let message: Value = serde_json::from_str(&record.value)?;
        Ok((SignalId::of(&message), (record.n, message)))
    });
    let messages = messages.collect::<Result<BTreeMap<_, _>>>()?;
    anyhow::ensure!(messages.len() == served.len(), "two signals look alike");
    let mut replay = Replay {
        name,
        messages,
        differences: CorpusDifferences::load(&folder(), &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))?,
        connection_id: connection.definition["id"].as_str().context("no id")?.to_owned(),
        feed: served,
        moments: known,
        findings: Vec::new(),
        counts: BTreeMap::new(),
    };
    replay.compare(&connection, &sent, run_ms)?;
    anyhow::ensure!(replay.findings.is_empty(), "{name}:\n{}", replay.findings.join("\n"));
    let (fed, theirs) = (replay.feed.len(), connection.records.len());
    let counts: String = replay.counts.iter().map(|(what, n)| format!("{n:>4} {what}\n")).collect();
    Ok(format!("{fed} signals, {theirs} records of Ditto, {} of ours\n{counts}", sent.len()))
}

#[test]
fn replay_filters() {
    check(
        "filters",
        0,
        expect![[r#"
        475 signals, 295 records of Ditto, 298 of ours
           3 differs: a-null-hides-nothing
         291 equal
           1 not in the feed, its connection was closed
           4 only we: definition-events-are-filtered
    "#]],
    );
}

#[test]
fn replay_headers() {
    check(
        "headers",
        0,
        expect![[r#"
        475 signals, 1323 records of Ditto, 1309 of ours
          12 differs: a-null-hides-nothing
           2 differs: placeholders-see-what-may-be-read
         474 equal
         820 equal but for internal headers
           3 not in the feed, its connection was closed
          12 only Ditto: a-null-hides-nothing
           1 only we: definition-events-are-filtered
    "#]],
    );
}

#[test]
fn replay_partial() {
    check(
        "partial",
        0,
        expect![[r#"
        475 signals, 876 records of Ditto, 838 of ours
           4 differs: a-deletion-stays-whole
          13 differs: a-null-hides-nothing
           4 differs: extra-is-always-cut
           6 differs: live-events-are-cut
          15 differs: who-reads-no-leaf-reads-none
         759 equal
           1 not in the feed, its connection was closed
          36 not in the feed, its reader may not read it
          12 only Ditto: a-null-hides-nothing
           5 only Ditto: live-events-are-cut
           4 only Ditto: readers-get-what-they-may-read
          10 only Ditto: what-is-hidden-goes-unseen
           7 only Ditto: who-reads-no-leaf-reads-none
           1 only we: a-thing-is-asked-for-as-it-was
          36 only we: readers-get-what-they-may-read
    "#]],
    );
}

/// It was made by operation 880: the feed has an announcement of before.
#[test]
fn replay_announcements() {
    check(
        "announcements",
        880,
        expect![[r#"
        27 signals, 15 records of Ditto, 3 of ours
           3 equal
          10 not in the feed, it is about its own connection
           2 only Ditto: announcements-reach-whom-they-name
    "#]],
    );
}

/// Those announcements are not in the feed: each Ditto tells them its own connections. Taken from what it wrote, and fed, they
/// give the same records.
#[test]
fn replay_announcements_of_the_connection_itself() -> Result<()> {
    let announcements = corpus::load_connection(&folder().join("targets/announcements.ndjson"), &feed()?)?;
    let is_own = |record: &&TargetRecord| {
        record.value["topic"].as_str().is_some_and(|topic| topic.contains("/connections/announcements/"))
    };
    let theirs: Vec<&TargetRecord> = announcements.records.iter().filter(is_own).collect();
    let mut feed: Vec<CorpusRecord> = Vec::new();
    for record in &theirs {
        let value = record.value.to_string();
        if !feed.iter().any(|fed| fed.value == value) {
            feed.push(CorpusRecord { n: record.n, key: None, headers: Vec::new(), value, received: 0 });
        }
    }
    let sent = publish(&announcements.definition, &feed, &[])?;
    assert_eq!((feed.len(), theirs.len(), sent.len()), (5, 10, 10));
    for key in [None, announcements.definition["id"].as_str().map(str::to_owned)] {
        let ours = sent.iter().filter(|sent| sent.key == key).map(|sent| {
            let message = serde_json::from_slice(&sent.payload)?;
            Ok((sent.topic.clone(), Written::new(sent.key.as_ref(), &sent.headers, message)))
        });
        let theirs = theirs.iter().filter(|record| record.key == key);
        let theirs: Vec<_> = theirs.map(|record| (record.topic.clone(), Written::from(*record))).collect();
        assert_eq!(ours.collect::<Result<Vec<_>>>()?, theirs);
        assert_eq!(theirs.len(), 5);
    }
    Ok(())
}

/// The things beside the signals are those that Ditto gave out when it was asked: all that it was asked for at a revision that
/// the feed has. Of a thing with the policy `secret` the feed's reader does not see one feature.
#[test]
fn replay_knows_the_things_of_each_moment() -> Result<()> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Given {
        thing_id: String,
        status: u16,
        thing: Map<String, Value>,
    }

    let mut things = Things::load(&folder())?;
    let mut told = BTreeMap::new();
    for record in feed()? {
        let signal: Value = serde_json::from_str(&record.value)?;
        if signal["topic"].as_str().is_some_and(|topic| topic.contains("/twin/events/")) {
            let thing = things.take(&signal)?;
            told.insert((record.key.context("no key")?, thing.revision), thing);
        }
    }
    let without_secret = |mut state: Value| {
        if state["policyId"] == "org.acme:secret"
            && let Some(features) = state["features"].as_object_mut()
        {
            features.shift_remove("secret");
        }
        state
    };
    let (mut equal, mut gone, mut unknown) = (0, BTreeSet::new(), BTreeSet::new());
    for Given { thing_id, status, thing: mut given } in corpus::lines(&folder().join("things.ndjson"))? {
        if status != 200 {
            gone.insert(thing_id);
            continue;
        }
        let revision = given.shift_remove("_revision").and_then(|it| it.as_i64()).context("no revision")?;
        given.retain(|name, _| !name.starts_with('_'));
        match told.get(&(thing_id.clone(), revision)) {
            Some(thing) => {
                let (told, given) = (without_secret(thing.state.clone()), without_secret(given.into()));
                assert_eq!(told, given, "{thing_id} at revision {revision}");
                equal += 1;
            }
            None => drop(unknown.insert(format!("{thing_id}@{revision}"))),
        }
    }
    let text = format!("{equal} equal\nnot there: {gone:?}\nunknown: {unknown:?}\n");
    expect![[r#"
        50 equal
        not there: {"org.acme:unit-05", "org.other:unit-19"}
        unknown: {"org.acme:unit-07@3", "org.acme:unit-11@38", "org.other:unit-17@1", "org.other:unit-17@3"}
    "#]]
    .assert_eq(&text);
    Ok(())
}
