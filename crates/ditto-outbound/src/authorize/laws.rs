//! What targets get by policies, against an evaluator that knows nothing of tries, views and raw text.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use ditto_authorization::{Enforcer, Policy};
use ditto_connection::Connection;
use futures_util::FutureExt;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use crate::acknowledge::NoAcknowledgements;
use crate::intake::{FeedPolicy, Intake, InternalHeaders};
use crate::lane::Lane;
use crate::memory::MemoryDirectory;
use crate::recording::{RecordingLeaf, Sent, VecFeed};
use crate::target::CompiledConnection;
use crate::target::RunOptions;

const SUBJECTS: [&str; 3] = ["integ:a", "integ:b", "integ:c"];
/// Leaves of things. What stands above them is an object.
const LEAVES: [&str; 8] = [
    "/thingId",
    "/attributes/a",
    "/attributes/b",
    "/attributes/c/d",
    "/attributes/c/e",
    "/features/f/properties/p",
    "/features/f/properties/q",
    "/features/g/properties/p",
];
/// Members that whoever may read a part of a thing sees of its events.
const ALWAYS: [&str; 1] = ["/thingId"];

/// An entry of a policy: its subjects, and what it says of READ at paths.
#[derive(Debug, Clone)]
struct Entry {
    subjects: Vec<&'static str>,
    grants: BTreeSet<String>,
    revokes: BTreeSet<String>,
}

/// Who reads: entries, and the subjects of the target.
#[derive(Debug, Clone)]
struct Reader {
    entries: Vec<Entry>,
    context: Vec<&'static str>,
}

/// The root and each place down to a leaf.
fn line(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    std::iter::once("/").chain(ends.filter_map(|end| path.get(..end)).filter(|prefix| *prefix != "/"))
}

fn is_at_or_below(path: &str, above: &str) -> bool {
    line(path).any(|place| place == above)
}

impl Reader {
    /// The last word on the way to a place, for subjects that are judged together; a revoke wins over a grant beside it.
    fn is_readable(&self, subjects: &[&str], path: &str) -> bool {
        let mut is_readable = false;
        for place in line(path) {
            let own =
                self.entries.iter().filter(|entry| entry.subjects.iter().any(|it| subjects.contains(it)));
            let (grants, revokes): (Vec<_>, Vec<_>) =
                own.map(|entry| (entry.grants.contains(place), entry.revokes.contains(place))).unzip();
            is_readable = (is_readable || grants.contains(&true)) && !revokes.contains(&true);
        }
        is_readable
    }

    /// Whether one of the subjects by itself may read what stands at a place of an event.
    fn sees(&self, path: &str) -> bool {
        let one = |subject: &&str| self.is_readable(&[*subject], path);
        self.context.iter().any(one) || ALWAYS.contains(&path) && self.sees_any("/")
    }

    /// The places at and below one where somebody has said something, and so all that can differ.
    fn places<'s>(&'s self, path: &'s str) -> impl Iterator<Item = &'s str> {
        let said = self.entries.iter().flat_map(|entry| entry.grants.iter().chain(&entry.revokes));
        std::iter::once(path).chain(said.map(String::as_str).filter(move |said| is_at_or_below(said, path)))
    }

    fn sees_any(&self, path: &str) -> bool {
        self.places(path).any(|place| self.context.iter().any(|one| self.is_readable(&[one], place)))
    }

    fn sees_all(&self, path: &str) -> bool {
        self.places(path).all(|place| self.context.iter().any(|one| self.is_readable(&[one], place)))
    }

    /// What is left of a value at a path.
    fn cut(value: &Value, path: &str, is_seen: &impl Fn(&str) -> bool) -> Option<Value> {
        let Some(members) = value.as_object() else { return is_seen(path).then(|| value.clone()) };
        let below = |name: &str| format!("{}/{name}", path.trim_end_matches('/'));
        let members = members.iter();
        let left: Map<_, _> = members
            .filter_map(|(name, value)| Some((name.clone(), Self::cut(value, &below(name), is_seen)?)))
            .collect();
        (!left.is_empty()).then(|| left.into())
    }

    /// The event as it is for somebody to whom nothing is hidden, if everything hidden were not there.
    fn seen_of(&self, event: &Value) -> Option<Value> {
        let path = event["path"].as_str().unwrap();
        if !self.sees_any(path) {
            return None;
        }
        let mut event = event.clone();
        if !self.sees_all(path) {
            let is_merge = event["topic"].as_str().unwrap().ends_with("merged");
            let left = event.get("value").and_then(|value| Self::cut(value, path, &|place| self.sees(place)));
            // Something that the reader has seen may be gone.
            event["value"] = if is_merge { left? } else { left.unwrap_or(json!({})) };
        }
        Some(event)
    }

    /// What the subjects get together when the thing is retrieved.
    fn retrieved(&self, thing: &Value) -> Value {
        let is_seen = |place: &str| self.is_readable(&self.context, place);
        let any = self.places("/").any(is_seen);
        let with_id = |place: &str| is_seen(place) || any && place == "/thingId";
        Self::cut(thing, "/", &with_id).unwrap_or(json!({}))
    }

    fn enforcer(&self) -> Arc<Enforcer> {
        let entries: Map<_, _> = self
            .entries
            .iter()
            .enumerate()
            .map(|(number, entry)| {
                let subjects: Map<_, _> =
                    entry.subjects.iter().map(|id| ((*id).to_owned(), json!({"type": "t"}))).collect();
                let word = |said: bool| if said { json!(["READ"]) } else { json!([]) };
                let resource = |path: &String| {
                    let (grant, revoke) =
                        (word(entry.grants.contains(path)), word(entry.revokes.contains(path)));
                    (format!("thing:{path}"), json!({"grant": grant, "revoke": revoke}))
                };
                let resources: Map<_, _> = entry.grants.union(&entry.revokes).map(resource).collect();
                (number.to_string(), json!({"subjects": subjects, "resources": resources}))
            })
            .collect();
        let policy: Policy = json!({"policyId": "acme:p", "entries": entries}).to_string().parse().unwrap();
        Arc::new(Enforcer::compile(&policy, Some("acme"), SystemTime::now(), |_| None).unwrap())
    }
}

fn connection(context: &[&str], topic: &str) -> Arc<CompiledConnection> {
    CompiledConnection::compile(&definition(context, topic), &RunOptions::default())
}

fn definition(context: &[&str], topic: &str) -> Connection {
    definition_to("out/{{ thing-json:attributes/a | fn:default('none') }}", context, topic)
}

fn definition_to(address: &str, context: &[&str], topic: &str) -> Connection {
    let definition = json!({
        "id": "c", "name": "c", "connectionType": "kafka", "connectionStatus": "open", "uri": "tcp://localhost:9092",
        "specificConfig": {"bootstrapServers": "localhost:9092"},
        "targets": [{
            "address": address, "topics": [topic],
            "authorizationContext": context,
            "headerMapping": {"p": "{{ thing-json:features/f/properties/p }}", "f": "{{ feature:id }}"},
        }],
    });
    Connection::from_json(&definition.to_string()).unwrap()
}

/// Key, headers and payload of the record, if there is one.
fn published(
    connection: Arc<CompiledConnection>,
    event: &Value,
    thing: &Value,
    enforcer: Option<Arc<Enforcer>>,
) -> Option<Value> {
    let directory = MemoryDirectory::default();
    directory.tell("acme:t", Some(&thing.to_string()));
    let default_read_subjects = if enforcer.is_some() { Vec::new() } else { vec!["integ:full".to_owned()] };
    if enforcer.is_some() {
        directory.tell_policy("acme:t", enforcer);
    }
    let feed = VecFeed::of_texts([event.to_string()]);
    run(feed, InternalHeaders::Strip { default_read_subjects }, connection, directory).map(shown)
}

fn shown(sent: Sent) -> Value {
    let payload: Value = serde_json::from_slice(&sent.payload).unwrap();
    json!({"key": sent.key, "headers": sent.headers, "payload": payload})
}

fn run(
    feed: VecFeed,
    internal_headers: InternalHeaders,
    connection: Arc<CompiledConnection>,
    directory: MemoryDirectory,
) -> Option<Sent> {
    let policy = FeedPolicy { internal_headers, ..FeedPolicy::default() };
    let leaf = RecordingLeaf::default();
    let connections = vec![(connection, leaf.clone())];
    let lane = Lane::new(feed, Intake::new(policy), connections, Box::new(NoAcknowledgements));
    assert!(lane.with_directory(Box::new(directory)).run().now_or_never().is_some());
    let mut sent = leaf.sent().into_iter();
    let first = sent.next();
    assert!(sent.next().is_none());
    first
}

/// An object with some leaves at or below a path, each with a value of its own; `number` is where these start.
fn value_at(path: &str, leaves: &[&'static str], number: usize) -> Option<Value> {
    let mut value = Value::Null;
    for (leaf, number) in leaves.iter().zip(number..) {
        let below = leaf.strip_prefix(path.trim_end_matches('/'))?;
        let place = below.split('/').skip(1).fold(&mut value, |at, name| {
            if at.is_null() {
                *at = json!({});
            }
            &mut at[name]
        });
        *place = json!(format!("L{number}"));
    }
    (!value.is_null()).then_some(value)
}

fn places() -> impl Strategy<Value = String> {
    let all: BTreeSet<String> = LEAVES.iter().flat_map(|leaf| line(leaf)).map(str::to_owned).collect();
    select(all.into_iter().collect::<Vec<_>>())
}

fn readers() -> impl Strategy<Value = Reader> {
    let said = || prop::collection::btree_set(places(), 0..4);
    let subjects = || subsequence(SUBJECTS.to_vec(), 1..=2);
    let entry = (subjects(), said(), said()).prop_map(|(subjects, grants, revokes)| Entry {
        subjects,
        grants,
        revokes,
    });
    (prop::collection::vec(entry, 1..5), subjects())
        .prop_map(|(entries, context)| Reader { entries, context })
}

fn events() -> impl Strategy<Value = Value> {
    let action = select(vec!["created", "modified", "merged", "deleted"]);
    (action, places(), subsequence(LEAVES.to_vec(), 1..=LEAVES.len())).prop_filter_map(
        "nothing there",
        |(action, path, leaves)| {
            let leaves: Vec<_> = leaves.into_iter().filter(|leaf| is_at_or_below(leaf, &path)).collect();
            let value = value_at(&path, &leaves, 0);
            let mut event = json!({
                "topic": format!("acme/t/things/twin/events/{action}"), "path": path, "revision": 3, "headers": {},
            });
            if action != "deleted" {
                event["value"] = value?;
            }
            Some(event)
        },
    )
}

fn topics() -> impl Strategy<Value = String> {
    let fields =
        select(vec!["", "attributes", "attributes/c/d,features/*/properties/p", "features/f,thingId"]);
    let property = || places().prop_filter("no property", |place| place.len() > "/attributes".len());
    let compared = (select(LEAVES.to_vec()), 0..LEAVES.len() * 2)
        .prop_map(|(leaf, number)| format!("eq({},\"L{number}\")", leaf.trim_start_matches('/')));
    let filter = prop_oneof![
        Just(String::new()),
        property().prop_map(|place| format!("exists({})", place.trim_start_matches('/'))),
        property().prop_map(|place| format!("not(exists({}))", place.trim_start_matches('/'))),
        compared,
    ];
    (fields, filter).prop_map(|(fields, filter)| {
        let parameters = [("extraFields", fields), ("filter", &filter)];
        let parameters: Vec<_> = parameters
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        match parameters.is_empty() {
            true => "_/_/things/twin/events".to_owned(),
            false => format!("_/_/things/twin/events?{}", parameters.join("&")),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Whatever a policy hides is as if it were not there: for the payload, extra fields, filters, keys and headers; and
    /// whatever it shows is there.
    #[test]
    fn what_is_hidden_is_not_there(
        reader in readers(),
        event in events(),
        topic in topics(),
        leaves in subsequence(LEAVES.to_vec(), 1..=LEAVES.len()),
    ) {
        let thing = value_at("/", &leaves, LEAVES.len()).unwrap();
        let expected = reader.seen_of(&event).and_then(|event| {
            published(connection(&["integ:full"], &topic), &event, &reader.retrieved(&thing), None)
        });
        let restricted = connection(&reader.context, &topic);
        let got = published(restricted, &event, &thing, Some(reader.enforcer()));
        prop_assert_eq!(got, expected);
    }

    /// A dead letter shows what the target's record shows, but for extra fields: nothing that is hidden, whatever has failed.
    #[test]
    fn a_letter_shows_what_the_record_would(
        reader in readers(),
        event in events(),
        topic in topics(),
        leaves in subsequence(LEAVES.to_vec(), 1..=LEAVES.len()),
    ) {
        let thing = value_at("/", &leaves, LEAVES.len()).unwrap();
        let payload = |record: Option<Value>| record.map(|record| record["payload"].clone());
        let mut expected = payload(published(
            connection(&reader.context, &topic), &event, &thing, Some(reader.enforcer()),
        ));
        for payload in expected.iter_mut() {
            payload.as_object_mut().unwrap().remove("extra");
        }
        let unresolved = definition_to("out/{{ header:none }}", &reader.context, &topic);
        let buried = CompiledConnection::compile(
            &unresolved,
            &RunOptions { dead_letters: Some("dead".to_owned()), ..RunOptions::default() },
        );
        let letter = published(buried, &event, &thing, Some(reader.enforcer()));
        prop_assert_eq!(payload(letter), expected);
    }

    /// A feed that was stamped needs no policies: what they said then goes with each signal.
    #[test]
    fn stamped_signals_are_read_by_the_same(
        reader in readers(),
        event in events(),
        topic in topics().prop_filter("extra fields are another's", |topic| !topic.contains("extraFields")),
    ) {
        let (nothing, directory) = (json!({}), MemoryDirectory::default());
        directory.tell_policy("acme:t", Some(reader.enforcer()));
        let strip = InternalHeaders::default();
        let feed = VecFeed::of_texts([event.to_string()]);
        let stamping = CompiledConnection::stamping(&definition(&["integ:nobody"], "_/_/things/twin/events"));
        let Some(stamped) = run(feed, strip, stamping, directory) else {
            // It is no signal: nobody gets it.
            let all = connection(&["integ:full"], "_/_/things/twin/events");
            prop_assert_eq!(published(all, &event, &nothing, None), None);
            return Ok(());
        };
        let headers = stamped.headers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let feed = VecFeed::of_records([(stamped.payload, headers)]);
        let restricted = || connection(&reader.context, &topic);
        let got = run(feed, InternalHeaders::Trust, restricted(), MemoryDirectory::default()).map(shown);
        prop_assert_eq!(got, published(restricted(), &event, &nothing, Some(reader.enforcer())));
    }
}
