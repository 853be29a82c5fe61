//! The feed of a real Ditto through lanes for its connections with payload mappers and with acknowledgements.
//!
//! What mappers make tells nothing, or not enough, of its signal: the vectors say which one it is. So for each topic and key all
//! records are compared one after another with those of Ditto, in the order of the feed. Payloads that are JSON are compared
//! parsed, numbers by their value, all others as texts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use ditto_outbound::{Answer as LeafAnswer, Delivered, RecordingLeaf, RecordingSink, Sent};
use ditto_tests::conformance::{Rules, compare};
use ditto_tests::corpus::{
    self, Answer, Answered, CorpusConnection, CorpusDifferences, CorpusRecord, Moments, Ours, TargetRecord,
};
use expect_test::{Expect, expect};
use serde_json::{Map, Value, json};

use super::replay::{feed, folder, moments, publish_to};

/// The topic of a target whose mapper says when it has mapped a signal that does not know its time.
const CLOCK: &str = "t-ce";

/// Topic and key.
type Place = (String, Option<String>);

fn project() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn load(name: &str, feed: &[CorpusRecord]) -> Result<CorpusConnection> {
    corpus::load_connection(&folder().join(format!("targets/{name}.ndjson")), feed)
}

/// A record as it is compared.
fn form(headers: &[(String, String)], payload: Value) -> Result<Value> {
    let named: Map<String, Value> =
        headers.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    anyhow::ensure!(named.len() == headers.len(), "a header occurs twice: {headers:?}");
    Ok(json!({ "headers": named, "payload": payload }))
}

/// The time at which a mapper has mapped, if it says so; it is taken out.
fn take_clock(topic: &str, record: &mut Value) -> Option<Value> {
    let payload = record["payload"].as_object_mut().filter(|_| topic == CLOCK)?;
    payload
        .get("data")
        .is_some_and(|data| data.get("timestamp").is_none())
        .then(|| payload.shift_remove("time"))?
}

/// The records that are to come, by place and in the order of the feed, with the numbers of their signals; and how many of
/// Ditto's are equal, differ, or come from signals that the feed does not have.
struct Expected {
    records: BTreeMap<Place, Vec<(u64, Value)>>,
    counts: BTreeMap<String, usize>,
}

impl Expected {
    fn of(name: &str, connection: &CorpusConnection, differences: &CorpusDifferences) -> Result<Self> {
        let mut expected = Self { records: BTreeMap::new(), counts: BTreeMap::new() };
        let mut replaced = BTreeMap::new();
        for row in differences.of(name) {
            let records = row.ours.as_ref().and_then(|ours| ours.records.as_ref());
            if let Some(records) = records {
                replaced.insert((row.topic.as_str(), row.feed), (row, records));
            }
        }
        let mut unused: BTreeSet<_> =
            differences.of(name).map(|row| (row.topic.as_str(), row.feed)).collect();
        for record in &connection.records {
            let mut form = form(&record.headers, record.value.clone())?;
            if let Some(time) = take_clock(&record.topic, &mut form) {
                let _: jiff::Timestamp = time.as_str().context("a time is a text")?.parse()?;
            }
            let Some(feed) = record.feed else {
                expected.count(format!("not in the feed, {}", missing(record, differences)?));
                continue;
            };
            let at = (record.topic.as_str(), feed);
            let Some(row) = differences.of(name).find(|row| (row.topic.as_str(), row.feed) == at) else {
                expected.count("equal");
                expected.push(record, feed, form);
                continue;
            };
            unused.remove(&at);
            match &row.ours {
                None => expected.count(format!("only Ditto: {}", row.class)),
                Some(Ours { records: Some(_), .. }) => expected.count(format!("differs: {}", row.class)),
                Some(ours) => {
                    let (outer, inner) = ours.without.as_ref().context("what is left out")?;
                    let differs = leave_out(&mut form, outer, inner);
                    expected.count(if differs { format!("differs: {}", row.class) } else { "equal".into() });
                    expected.push(record, feed, form);
                }
            }
        }
        for (place, records) in &expected.records {
            anyhow::ensure!(records.is_sorted_by_key(|(feed, _)| *feed), "{place:?}: another order");
        }
        for ((topic, feed), (row, records)) in replaced {
            let of_feed = connection.records.iter().filter(|record| record.feed == Some(feed));
            let key = of_feed.clone().find_map(|record| record.key.clone());
            if unused.remove(&(topic, feed)) {
                (0..records.len()).for_each(|_| expected.count(format!("only we: {}", row.class)));
            } else {
                let theirs = of_feed.filter(|record| record.topic == topic);
                let theirs = theirs.map(|record| form(&record.headers, record.value.clone()));
                let ours = records.iter().map(|it| form(&it.headers, it.payload.clone()));
                let (theirs, ours) = (theirs.collect::<Result<Vec<_>>>()?, ours.collect::<Result<Vec<_>>>()?);
                anyhow::ensure!(theirs != ours, "{topic} {feed} is no difference");
            }
            let place = expected.records.entry((topic.to_owned(), key)).or_default();
            for record in records {
                place.push((feed, form(&record.headers, record.payload.clone())?));
            }
            place.sort_by_key(|(feed, _)| *feed);
        }
        anyhow::ensure!(unused.is_empty(), "there are no such records: {unused:?}");
        Ok(expected)
    }

    fn push(&mut self, record: &TargetRecord, feed: u64, form: Value) {
        self.records.entry((record.topic.clone(), record.key.clone())).or_default().push((feed, form));
    }

    fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    /// Each record that was sent beside the one that was to come, and the places that have more or fewer.
    fn pairs(mut self, sent: &[Sent], run_ms: (i128, i128)) -> Result<(Vec<Pair>, Vec<String>)> {
        let mut ours: BTreeMap<Place, Vec<Value>> = BTreeMap::new();
        for sent in sent {
            let payload = corpus::payload(std::str::from_utf8(&sent.payload)?)?;
            let mut form = form(&sent.headers, payload)?;
            if let Some(time) = take_clock(&sent.topic, &mut form) {
                let time: jiff::Timestamp = time.as_str().context("a time is a text")?.parse()?;
                let time = i128::from(time.as_millisecond());
                anyhow::ensure!((run_ms.0..=run_ms.1).contains(&time), "{time} is another time");
            }
            ours.entry((sent.topic.clone(), sent.key.clone())).or_default().push(form);
        }
        let (mut pairs, mut findings) = (Vec::new(), Vec::new());
        for (place, ours) in ours {
            let theirs = self.records.remove(&place).unwrap_or_default();
            if theirs.len() != ours.len() {
                findings.push(format!("{place:?}: {} expected, {} sent", theirs.len(), ours.len()));
            }
            let both = theirs.into_iter().zip(ours);
            pairs.extend(both.map(|((feed, theirs), ours)| Pair {
                at: format!("{place:?} {feed}"),
                theirs,
                ours,
            }));
        }
        findings.extend(self.records.keys().map(|place| format!("{place:?}: nothing sent")));
        Ok((pairs, findings))
    }

    /// What differs in what was sent.
    fn findings(self, sent: &[Sent], run_ms: (i128, i128)) -> Result<Vec<String>> {
        let (pairs, mut findings) = self.pairs(sent, run_ms)?;
        for Pair { at, theirs, ours } in pairs {
            let found = compare(&theirs, &ours, Rules::default());
            findings.extend(found.into_iter().map(|finding| format!("{at}: {finding}")));
        }
        Ok(findings)
    }
}

/// A record that was to come, and the one that was sent.
struct Pair {
    at: String,
    theirs: Value,
    ours: Value,
}

/// Why the feed does not have the signal of a record.
fn missing(record: &TargetRecord, differences: &CorpusDifferences) -> Result<String> {
    let operation = record.operation.with_context(|| format!("record {} is of no operation", record.n))?;
    let missing = differences.not_in_feed(operation).with_context(|| format!("op-{operation} is missing"))?;
    anyhow::ensure!(missing.policy.is_none(), "op-{operation}: its reader is that of the feed");
    Ok(missing.reason.clone())
}

/// Takes members out of the objects of a name. Whether there were any.
fn leave_out(value: &mut Value, outer: &str, inner: &str) -> bool {
    match value {
        Value::Object(members) => members.iter_mut().fold(false, |any, (name, value)| {
            let own =
                name == outer && value.as_object_mut().is_some_and(|it| it.shift_remove(inner).is_some());
            leave_out(value, outer, inner) || own || any
        }),
        Value::Array(elements) => {
            elements.iter_mut().map(|value| leave_out(value, outer, inner)).filter(|is_out| *is_out).count()
                > 0
        }
        _ => false,
    }
}

fn send(
    connection: &CorpusConnection,
    feed: &[CorpusRecord],
    leaf: RecordingLeaf,
    sink: RecordingSink,
) -> Result<Vec<Sent>> {
    let moments = moments(&Moments::load(&folder())?, feed)?;
    publish_to(&connection.definition, feed, &moments, leaf, Box::new(sink))
}

fn now_ms() -> Result<i128> {
    Ok(i128::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

#[track_caller]
fn check(name: &str, expected: Expect) {
    expected.assert_eq(&replay(name).unwrap());
}

fn replay(name: &str) -> Result<String> {
    let feed = feed()?;
    let connection = load(name, &feed)?;
    let differences = CorpusDifferences::load(&folder(), project())?;
    let expected = Expected::of(name, &connection, &differences)?;
    let counts: String = expected.counts.iter().map(|(what, n)| format!("{n:>4} {what}\n")).collect();
    let began = now_ms()?;
    let sent = send(&connection, &feed, RecordingLeaf::default(), RecordingSink::default())?;
    let findings = expected.findings(&sent, (began, now_ms()?))?;
    anyhow::ensure!(findings.is_empty(), "{name}: {} findings\n{}", findings.len(), findings.join("\n"));
    let theirs = connection.records.len();
    Ok(format!("{} signals, {theirs} records of Ditto, {} of ours\n{counts}", feed.len(), sent.len()))
}

/// Each member of each record of Ditto, changed or removed in turn, must be found; so must a record that is not there.
#[test]
fn a_changed_record_is_found() -> Result<()> {
    let mut changed = 0;
    for name in ["mappers", "acks"] {
        let feed = feed()?;
        let mut connection = load(name, &feed)?;
        let differences = CorpusDifferences::load(&folder(), project())?;
        let began = now_ms()?;
        let sent = send(&connection, &feed, RecordingLeaf::default(), RecordingSink::default())?;
        let run_ms = (began, now_ms()?);
        let (pairs, _) = Expected::of(name, &connection, &differences)?.pairs(&sent, run_ms)?;
        for Pair { at, theirs, ours } in pairs {
            for place in places(&theirs) {
                for mutant in mutants(&theirs, &place) {
                    let found = compare(&mutant, &ours, Rules::default());
                    assert!(!found.is_empty(), "{at} passes with {place} changed");
                    changed += 1;
                }
            }
        }
        // Of a place that has others, and of one that has none.
        for n in [1, connection.records.len() / 2, connection.records.len() - 1] {
            let left_out = connection.records.remove(n);
            let found = Expected::of(name, &connection, &differences)?.findings(&sent, run_ms)?;
            assert!(!found.is_empty(), "{name} passes without record {}", left_out.n);
            connection.records.insert(n, left_out);
        }
    }
    assert!(changed > 100_000, "only {changed} members were changed");
    Ok(())
}

/// JSON pointers of everything below the root.
fn places(value: &Value) -> Vec<String> {
    let escaped = |name: &String| name.replace('~', "~0").replace('/', "~1");
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (escaped(name), value)).collect(),
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let below = |(name, value): (String, &Value)| {
        let own = places(value).into_iter().map(move |place| format!("/{name}{place}"));
        own.collect::<Vec<_>>()
    };
    let mut all: Vec<_> = children.iter().map(|(name, _)| format!("/{name}")).collect();
    all.extend(children.into_iter().flat_map(below));
    all
}

/// The value with another one at a place, and without it.
fn mutants(value: &Value, place: &str) -> Vec<Value> {
    let (mut other, mut without) = (value.clone(), value.clone());
    if let Some(at) = other.pointer_mut(place) {
        *at = match &*at {
            Value::String(text) => json!(format!("{text}x")),
            Value::Number(number) => json!(number.as_f64().unwrap_or_default() * 2.0 + 1e6),
            Value::Bool(value) => json!(!*value),
            _ => json!("something else"),
        };
    }
    let (parent, name) = place.rsplit_once('/').unwrap_or_default();
    match without.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            drop(members.shift_remove(&name.replace("~1", "/").replace("~0", "~")))
        }
        Some(Value::Array(elements)) => drop(name.parse().map(|n: usize| elements.remove(n))),
        _ => {}
    }
    vec![other, without]
}

#[test]
fn replay_mappers() {
    check(
        "mappers",
        expect![[r#"
        475 signals, 2642 records of Ditto, 2619 of ours
          18 differs: a-null-hides-nothing
           3 differs: a-thing-is-asked-for-as-it-was
           4 differs: tilde-is-not-escaped-again
        2587 equal
           6 not in the feed, its connection was closed
          24 only Ditto: a-null-hides-nothing
           7 only we: a-thing-is-asked-for-as-it-was
    "#]],
    );
}

#[test]
fn replay_acks() {
    check(
        "acks",
        expect![[r#"
        475 signals, 795 records of Ditto, 785 of ours
           3 differs: a-null-hides-nothing
         782 equal
           2 not in the feed, its connection was closed
           8 only Ditto: a-null-hides-nothing
    "#]],
    );
}

/// The feed does not say which acknowledgements were requested: Ditto takes those of its other connections away. Asked for what
/// the operations asked for, with the reports that Ditto's producer got, we answer what they were answered.
#[test]
fn acknowledgements_say_what_whoever_asked_was_answered() -> Result<()> {
    let mut feed = feed()?;
    let connection = load("acks", &feed)?;
    let answered: Vec<Answered> = corpus::lines(&folder().join("acknowledgements.ndjson"))?;
    for Answered { operation, feed: number, requested, .. } in &answered {
        let asked = feed.iter_mut().find(|record| record.n == *number).context("no such record")?;
        assert_eq!(asked.header("correlation-id"), Some(format!("op-{operation}").as_str()));
        let mut message: Value = serde_json::from_str(&asked.value)?;
        message["headers"]["requested-acks"] = json!(requested);
        asked.value = message.to_string();
    }
    let differences = CorpusDifferences::load(&folder(), project())?;
    let only_ditto = |record: &&TargetRecord| {
        let of =
            differences.of("acks").find(|row| row.topic == record.topic && Some(row.feed) == record.feed);
        record.feed.is_none() || of.is_some_and(|row| row.ours.is_none())
    };
    let mut reports: BTreeMap<Place, VecDeque<(i32, i64, i64)>> = BTreeMap::new();
    for record in connection.records.iter().filter(|record| !only_ditto(record)) {
        let report = record.report.context("no report")?;
        reports.entry((record.topic.clone(), record.key.clone())).or_default().push_back(report);
    }
    let leaf = RecordingLeaf::new(move |record| {
        let key = record.destination.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
        let place = (record.destination.topic.as_str().to_owned(), key.map(str::to_owned));
        let report = reports.get_mut(&place).and_then(VecDeque::pop_front);
        let (partition, offset, time) = report.unwrap();
        LeafAnswer::Deliver(Delivered { partition, offset: Some(offset), timestamp_ms: Some(time) })
    });
    let sink = RecordingSink::default();
    let sent = send(&connection, &feed, leaf, sink.clone())?;
    // What was asked of it changes no record.
    let expected = Expected::of("acks", &connection, &differences)?;
    assert_eq!(expected.findings(&sent, (0, 0))?, [""; 0]);

    let mut ours: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for acknowledgements in sink.sent() {
        for one in acknowledgements.iter() {
            let id = one.headers.iter().find(|(name, _)| name == "correlation-id").context("no id")?;
            ours.entry(id.1.clone()).or_default().push(one.clone());
        }
    }
    let (mut equal, mut decided) = (0, Vec::new());
    for Answered { operation, feed: number, answers, ours: otherwise, adr, .. } in answered {
        if let Some(adr) = &adr {
            assert!(project().join(adr).is_file(), "{adr}");
        }
        assert_eq!(otherwise.is_some(), adr.is_some(), "op-{operation}");
        assert_ne!(otherwise.as_ref(), Some(&answers), "op-{operation} is no difference");
        let sent = ours.remove(&format!("op-{operation}")).with_context(|| format!("op-{operation}"))?;
        let mut answer = Map::new();
        let wanted = otherwise.as_ref().unwrap_or(&answers);
        for one in &sent {
            let of = wanted.iter().find(|wanted| wanted.label == one.label).context("of another label")?;
            let named = |name: &str| match of.alone {
                true => {
                    of.headers.contains_key(name) || ["ditto-weak-ack", "ditto-connection-id"].contains(&name)
                }
                false => !ditto_protocol::header_definition(name).is_some_and(|it| it.is_internal()),
            };
            let headers = one.headers.iter().filter(|(name, _)| named(name));
            let mut headers: BTreeMap<_, _> = headers.cloned().collect();
            // Ditto says it of a value only where it writes one: the signal has it from the feed, whoever asked has not.
            if !of.headers.contains_key("content-type")
                && let Some(told) = headers.remove("content-type")
            {
                let message = feed.iter().find(|record| record.n == number).context("no such record")?;
                let message: Value = serde_json::from_str(&message.value)?;
                assert_eq!(message["headers"]["content-type"], told, "op-{operation}");
            }
            let payload: Value =
                one.value.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default();
            let form = json!({ "status": one.status, "payload": payload, "headers": headers });
            assert_eq!(answer.insert(one.label.clone(), form), None, "op-{operation}: {} twice", one.label);
        }
        let wanted = wanted.iter().map(|Answer { label, status, payload, headers, .. }| {
            (label.clone(), json!({ "status": status, "payload": payload, "headers": headers }))
        });
        let found = compare(&Value::Object(wanted.collect()), &answer.into(), Rules::default());
        assert_eq!(found, [""; 0], "op-{operation}");
        equal += answers.len();
        if otherwise.is_some() {
            equal -= answers.len();
            decided.push(operation);
        }
    }
    assert_eq!(ours.into_keys().collect::<Vec<_>>(), [""; 0]);
    assert_eq!((equal, decided), (20, vec![265]));
    Ok(())
}
