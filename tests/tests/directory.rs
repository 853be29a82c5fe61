//! The directory against a stand-in for Ditto's HTTP API.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test: a panic is its answer")]

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ditto_authorization::{AuthorizationContext, Decision, Enforcer};
use ditto_connection::Connection;
use ditto_connectivity::{
    DirectoryConfig, HttpConfig, HttpLogin, LaneDirectory, SharedDirectory, SourceConfig,
};
use ditto_outbound::{
    CompiledConnection, Directory, DirectoryAnswer, FeedPolicy, Intake, Lane, NoAcknowledgements,
    RecordingLeaf, ReplayFeed,
};
use ditto_protocol::{Limits, Signal};
use ditto_tests::ditto::{Ditto, Trouble, eventually};
use ditto_tests::http::basic;
use ditto_tests::secrets::{ensure_none_in, secret};
use ditto_tests::service::definition;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::runtime::Handle;

/// Policies and things count for so long in these tests.
const AGE: Duration = Duration::from_millis(400);

fn config(ditto: &Ditto) -> DirectoryConfig {
    config_as(ditto, HttpLogin::None)
}

fn config_as(ditto: &Ditto, login: HttpLogin) -> DirectoryConfig {
    let http = HttpConfig { url: ditto.url(), login, ca_pem: None };
    DirectoryConfig {
        policy_age: AGE,
        thing_age: AGE,
        absent_age: AGE,
        timeout: AGE / 2,
        ..DirectoryConfig::new(SourceConfig::Http(http))
    }
}

/// A policy by which these subjects may read everything, with imports.
fn policy(readers: &[&str], imports: &[&str]) -> Value {
    let subjects: Map<_, _> =
        readers.iter().map(|id| ((*id).to_owned(), json!({"type": "generated"}))).collect();
    let imports: Map<_, _> = imports.iter().map(|id| ((*id).to_owned(), json!({}))).collect();
    let resources = json!({"thing:/": {"grant": ["READ"], "revoke": []}});
    json!({"entries": {"readers": {"subjects": subjects, "resources": resources}}, "imports": imports})
}

fn revoking(subject: &str) -> Value {
    let resources = json!({"thing:/": {"grant": [], "revoke": ["READ"]}});
    json!({"entries": {"revoked": {"subjects": {subject: {"type": "generated"}}, "resources": resources}}})
}

fn event(thing: &str, action: &str, path: &str, revision: i64, value: &Value) -> Value {
    let mut event = json!({
        "topic": format!("acme/{thing}/things/twin/events/{action}"), "path": path, "revision": revision,
        "headers": {},
    });
    if !value.is_null() {
        event["value"] = value.clone();
    }
    event
}

fn modified(thing: &str, revision: i64) -> Value {
    event(thing, "modified", "/attributes/x", revision, &json!(revision))
}

fn signal(message: &Value) -> Signal {
    Signal::decode(message.to_string().into(), &Limits::default()).unwrap()
}

/// Asks as a lane does.
struct Reader(LaneDirectory);

impl Reader {
    /// Whether `integ:r` may get a signal, as far as that is known now; nobody may where it is absent.
    fn may_read(&mut self, signal: &Signal) -> Option<bool> {
        match self.0.enforcer(signal) {
            DirectoryAnswer::Known(enforcer) => Some(decides(&enforcer, signal)),
            DirectoryAnswer::Absent => Some(false),
            DirectoryAnswer::Pending => None,
        }
    }

    /// The same, once it is known.
    async fn will_read(&mut self, signal: &Signal) -> bool {
        loop {
            if let Some(decision) = self.may_read(signal) {
                return decision;
            }
            self.news().await;
        }
    }

    async fn news(&mut self) -> Vec<String> {
        let mut things = Vec::new();
        poll_fn(|cx| self.0.poll_answers(cx, &mut things)).await;
        things
    }
}

fn decides(enforcer: &Arc<Enforcer>, signal: &Signal) -> bool {
    let reader: AuthorizationContext = ["integ:r"].into_iter().collect();
    enforcer.decide(&reader, signal) == Decision::Granted
}

/// A test on a runtime as the service has it.
fn run(test: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await? })
}

fn start(config: &DirectoryConfig) -> anyhow::Result<SharedDirectory> {
    Ok(SharedDirectory::start(config, &Handle::current())?)
}

/// Asks all the time until reading is refused. It must not be granted later than the bound after `change`.
async fn loses_read(reader: &mut Reader, signal: &Signal, change: Instant) {
    loop {
        let asked = Instant::now();
        match reader.may_read(signal) {
            Some(true) => assert!(asked <= change + AGE, "{:?} after it was lost", asked - change),
            Some(false) => return,
            None => drop(reader.news().await),
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn who_loses_read_gets_nothing_after_the_bound() -> anyhow::Result<()> {
    run(async {
        let ditto = Ditto::start().await?;
        ditto.set_thing("acme:t", "acme:p", &json!({}));
        ditto.set_policy("acme:p", policy(&["integ:r"], &["acme:i"]));
        ditto.set_policy("acme:i", policy(&[], &[]));
        let directory = start(&config(&ditto))?;
        let mut reader = Reader(directory.lane());
        let event = signal(&modified("t", 1));
        assert!(reader.will_read(&event).await);

        ditto.set_policy("acme:p", policy(&[], &["acme:i"]));
        loses_read(&mut reader, &event, Instant::now()).await;
        ditto.set_policy("acme:p", policy(&["integ:r"], &["acme:i"]));
        while !reader.will_read(&event).await {}

        // By an imported policy: that of the thing stays as it is.
        ditto.set_policy("acme:i", revoking("integ:r"));
        loses_read(&mut reader, &event, Instant::now()).await;
        ditto.set_policy("acme:i", policy(&[], &[]));
        while !reader.will_read(&event).await {}

        // The thing gets another policy, and nothing tells of it.
        ditto.set_policy("acme:q", policy(&[], &[]));
        ditto.set_thing("acme:t", "acme:q", &json!({}));
        loses_read(&mut reader, &event, Instant::now()).await;
        Ok(())
    })
}

#[test]
fn what_has_not_changed_is_not_sent_again() -> anyhow::Result<()> {
    run(async {
        let ditto = Ditto::start().await?;
        ditto.set_thing("acme:t", "acme:p", &json!({}));
        ditto.set_policy("acme:p", policy(&["integ:r"], &["acme:i"]));
        ditto.set_policy("acme:i", policy(&[], &[]));
        let directory = start(&config(&ditto))?;
        let mut reader = Reader(directory.lane());
        let event = signal(&modified("t", 1));
        assert!(reader.will_read(&event).await);
        let first = ditto.asked();
        assert!(first.iter().all(|asked| asked.status == 200 && asked.validator.is_none()), "{first:?}");
        assert_eq!(first.len(), 3);
        let monitor = directory.monitor();
        while monitor.counts().not_modified < 3 {
            assert!(reader.will_read(&event).await);
            tokio::task::yield_now().await;
        }
        let second = ditto.asked();
        for path in ["things/acme:t", "policies/acme:p", "policies/acme:i"] {
            let of_path: Vec<_> = second.iter().filter(|asked| asked.path == path).collect();
            assert!(!of_path.is_empty(), "{path} was not asked for again");
            // The last one may still be open.
            assert!(of_path.iter().all(|asked| [304, 0].contains(&asked.status)), "{of_path:?}");
            assert!(of_path.iter().all(|asked| asked.validator.as_deref() == Some("\"rev:1\"")));
        }
        Ok(())
    })
}

#[test]
fn with_the_server_away_nothing_leaves_that_is_not_known_to_be_readable() -> anyhow::Result<()> {
    run(async {
        for trouble in [
            Trouble::Close,
            Trouble::Silence,
            Trouble::Status(500, vec![], String::new()),
            Trouble::Status(503, vec![], String::new()),
            Trouble::Status(404, vec![], "<html>not found</html>".to_owned()),
            Trouble::Status(404, vec![], r#"{"error": "nginx:notfound"}"#.to_owned()),
            Trouble::Status(302, vec![("location", "/api/2/things/acme:u".to_owned())], String::new()),
            Trouble::Status(200, vec![], "<html>welcome</html>".to_owned()),
            Trouble::Status(200, vec![], r#"{"thingId": "acme:u", "policyId": "acme:q"}"#.to_owned()),
            Trouble::Status(304, vec![], String::new()),
            Trouble::Status(400, vec![], String::new()),
        ] {
            let ditto = Ditto::start().await?;
            ditto.set_thing("acme:t", "acme:p", &json!({}));
            ditto.set_policy("acme:p", policy(&["integ:r"], &[]));
            let directory = start(&config(&ditto))?;
            let mut reader = Reader(directory.lane());
            let event = signal(&modified("t", 1));
            let is_304 = matches!(trouble, Trouble::Status(304, ..));
            if !is_304 {
                assert!(reader.will_read(&event).await);
            }
            ditto.trouble("", trouble.clone());
            let since = Instant::now();
            let deleted = signal(&self::event("t", "deleted", "/", 2, &Value::Null));
            let outages = directory.monitor();
            // Until it has been asked in vain again and again, long after what was known is too old.
            while outages.counts().outages < 3 || since.elapsed() <= AGE {
                for signal in [&event, &deleted] {
                    let asked = Instant::now();
                    let decision = reader.may_read(signal);
                    assert_ne!(decision, Some(false), "an outage is no answer: {trouble:?}");
                    assert!(decision.is_none() || asked <= since + AGE, "{trouble:?}");
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(reader.may_read(&event), None, "{trouble:?}");
            assert!(reader.0.trouble().is_some(), "{trouble:?}");
            ditto.mend();
            assert!(reader.will_read(&event).await, "{trouble:?}");
            assert_eq!(reader.0.trouble(), None, "{trouble:?}");
        }
        Ok(())
    })
}

#[test]
fn what_is_not_there_is_final_and_asked_for_once() -> anyhow::Result<()> {
    run(async {
        let ditto = Ditto::start().await?;
        let config = DirectoryConfig { absent_age: Duration::from_secs(600), ..config(&ditto) };
        let directory = start(&config)?;
        let mut readers = [Reader(directory.lane()), Reader(directory.lane())];
        for reader in &mut readers {
            for revision in 1..20 {
                assert!(!reader.will_read(&signal(&modified("t", revision))).await);
            }
        }
        assert_eq!(ditto.asked().len(), 1);
        // It is made, and the event of that passes.
        ditto.set_policy("acme:p", policy(&["integ:r"], &[]));
        ditto.set_thing("acme:t", "acme:p", &json!({}));
        let value = json!({"thingId": "acme:t", "policyId": "acme:p"});
        let created = signal(&event("t", "created", "/", 20, &value));
        for reader in &mut readers {
            reader.0.observe(&created);
            assert!(reader.will_read(&created).await);
        }
        // An imported policy that is not there, or not for us, may revoke something.
        ditto.set_policy("acme:q", policy(&["integ:r"], &["acme:hidden"]));
        ditto.set_thing("acme:u", "acme:q", &json!({}));
        assert!(!readers[0].will_read(&signal(&modified("u", 1))).await);
        Ok(())
    })
}

#[test]
fn a_pause_that_is_asked_for_is_kept() -> anyhow::Result<()> {
    run(async {
        for status in [429, 503] {
            let ditto = Ditto::start().await?;
            ditto.set_thing("acme:t", "acme:p", &json!({}));
            ditto.set_policy("acme:p", policy(&["integ:r"], &[]));
            let directory = start(&config(&ditto))?;
            let mut reader = Reader(directory.lane());
            let pause = vec![("retry-after", "1".to_owned())];
            ditto.trouble("", Trouble::Status(status, pause, String::new()));
            let event = signal(&modified("t", 1));
            assert_eq!(reader.may_read(&event), None);
            eventually("the outage", || directory.monitor().counts().outages == 1).await?;
            assert!(reader.0.trouble().unwrap_or_default().starts_with(&status.to_string()));
            ditto.mend();
            // Others do not ask meanwhile either.
            reader.may_read(&signal(&modified("u", 1)));
            assert!(reader.will_read(&event).await);
            let asked = ditto.asked();
            assert!(asked[1].time >= asked[0].time + Duration::from_secs(1), "{asked:?}");
        }
        Ok(())
    })
}

#[test]
fn a_login_that_is_refused_holds_and_is_told_without_the_secret() -> anyhow::Result<()> {
    run(async {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("token");
        let wrong = secret("wrong");
        std::fs::write(&file, format!("{wrong}\n"))?;
        for login in [
            HttpLogin::BearerFile(file.clone()),
            HttpLogin::Bearer(SecretString::from(wrong.clone())),
            HttpLogin::Basic { username: "ditto".to_owned(), password: SecretString::from(wrong.clone()) },
        ] {
            let ditto = Ditto::start().await?;
            ditto.set_thing("acme:t", "acme:p", &json!({}));
            ditto.set_policy("acme:p", policy(&["integ:r"], &[]));
            ditto.want_authorization(Some(&format!("Bearer {}", secret("right"))));
            let config = config_as(&ditto, login.clone());
            let directory = start(&config)?;
            let mut reader = Reader(directory.lane());
            let event = signal(&modified("t", 1));
            assert_eq!(reader.may_read(&event), None);
            eventually("the outage", || reader.0.trouble().is_some()).await?;
            assert_eq!(reader.may_read(&event), None, "refused is not absent");
            let told = reader.0.trouble().unwrap_or_default();
            assert!(told.contains("401 gateway:authentication.failed"), "{told}");
            let said = format!("{told} {config:?} {directory:?}");
            ensure_none_in("what is said", said.as_bytes())?;
            if matches!(login, HttpLogin::BearerFile(_)) {
                std::fs::write(&file, secret("right"))?;
            } else {
                let sent = &ditto.asked()[0].headers["authorization"];
                assert!(*sent == format!("Bearer {wrong}") || *sent == basic("ditto", &wrong), "{sent}");
                ditto.want_authorization(None);
            }
            assert!(reader.will_read(&event).await);
        }
        let ditto = Ditto::start().await?;
        let directory = start(&config_as(&ditto, HttpLogin::PreAuthenticated("nginx:ditto".to_owned())))?;
        assert!(!Reader(directory.lane()).will_read(&signal(&modified("t", 1))).await);
        assert_eq!(ditto.asked()[0].headers["x-ditto-pre-authenticated"], "nginx:ditto");
        Ok(())
    })
}

/// A connection whose only target wants a field of the thing with each event.
fn enriching() -> anyhow::Result<Arc<CompiledConnection>> {
    let definition = definition(
        "c",
        "127.0.0.1:9",
        &json!([{
            "address": "out/{{ thing:name }}", "topics": ["_/_/things/twin/events?extraFields=attributes/site"],
            "authorizationContext": ["integ:r"]
        }]),
    );
    let connection =
        Connection::from_json(&definition.to_string()).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(CompiledConnection::compile(&connection, &ditto_connectivity::run_options()))
}

fn lane(
    connection: &Arc<CompiledConnection>,
    leaf: &RecordingLeaf,
    signals: &[Value],
    directory: LaneDirectory,
) -> Lane<ReplayFeed, RecordingLeaf> {
    let feed = ReplayFeed::of_texts(signals.iter().map(Value::to_string));
    let intake = Intake::new(FeedPolicy::default());
    let connections = vec![(connection.clone(), leaf.clone())];
    Lane::new(feed, intake, connections, Box::new(NoAcknowledgements)).with_directory(Box::new(directory))
}

/// The revisions that came out of a thing, in their order, and the sites that came with them.
fn came(leaf: &RecordingLeaf, thing: &str) -> Vec<(i64, String)> {
    let of_thing = leaf.sent().into_iter().filter(|sent| sent.key.as_deref() == Some(thing));
    of_thing
        .map(|sent| {
            let message: Value = serde_json::from_slice(&sent.payload).unwrap();
            (message["revision"].as_i64().unwrap(), message["extra"]["attributes"]["site"].to_string())
        })
        .collect()
}

#[test]
fn order_survives_and_nobody_waits_for_another_thing() -> anyhow::Result<()> {
    run(async {
        let ditto = Ditto::start().await?;
        ditto.set_policy("acme:p", policy(&["integ:r"], &[]));
        const THINGS: [&str; 5] = ["slow", "broken", "a", "b", "c"];
        const EVENTS: i64 = 20;
        for thing in THINGS {
            for _ in 0..EVENTS {
                ditto.set_thing(&format!("acme:{thing}"), "acme:p", &json!({"site": thing}));
            }
        }
        ditto.trouble("things/acme:slow", Trouble::Silence);
        ditto.trouble("things/acme:broken", Trouble::Status(500, vec![], String::new()));
        let signals: Vec<_> =
            (1..=EVENTS).flat_map(|revision| THINGS.map(|thing| modified(thing, revision))).collect();
        let directory = start(&config(&ditto))?;
        let (connection, leaf) = (enriching()?, RecordingLeaf::default().unruly(3, 7));
        let lane = tokio::spawn(lane(&connection, &leaf, &signals, directory.lane()).run());
        let due =
            |thing: &str| (1..=EVENTS).map(|revision| (revision, format!("\"{thing}\""))).collect::<Vec<_>>();
        for thing in ["a", "b", "c"] {
            eventually(thing, || came(&leaf, thing).len() == due(thing).len()).await?;
            assert_eq!(came(&leaf, thing), due(thing));
        }
        let outages = || directory.monitor().counts().outages;
        eventually("outages", || outages() >= 6).await?;
        assert_eq!((came(&leaf, "slow"), came(&leaf, "broken")), (vec![], vec![]));
        assert_eq!(directory.monitor().counts().waiting, 2);
        ditto.mend();
        let feed = lane.await?;
        assert_eq!(feed.settled.len(), signals.len());
        for thing in THINGS {
            assert_eq!(came(&leaf, thing), due(thing));
        }
        // One for each thing and one for its policy is enough, and a few while two of them were in trouble.
        let asked = ditto.asked();
        for thing in ["a", "b", "c"] {
            let of_thing = asked.iter().filter(|asked| asked.path == format!("things/acme:{thing}")).count();
            assert!(of_thing <= 4, "{of_thing} look-ups for {thing}");
        }

        // The policy decides, and what it says now.
        ditto.set_policy("acme:p", policy(&["integ:other"], &[]));
        tokio::time::sleep(AGE).await;
        let (connection, leaf) = (enriching()?, RecordingLeaf::default());
        let lane =
            self::lane(&connection, &leaf, &[modified("a", EVENTS), modified("gone", 1)], directory.lane());
        let counters = lane.counters();
        lane.run().await;
        assert_eq!(leaf.sent(), []);
        let counts = counters.snapshot();
        assert_eq!(
            (counts.unselected, counts.unreadable),
            (1, vec![("policy-absent", 1), ("policy-unknown", 0)])
        );
        Ok(())
    })
}

#[test]
fn an_event_waits_until_its_revision_is_there() -> anyhow::Result<()> {
    run(async {
        let ditto = Ditto::start().await?;
        ditto.set_policy("acme:p", policy(&["integ:r"], &[]));
        ditto.set_thing("acme:a", "acme:p", &json!({"site": 1}));
        let directory = start(&config(&ditto))?;
        let (connection, leaf) = (enriching()?, RecordingLeaf::default());
        let signals = [modified("a", 1), modified("a", 3), modified("b", 1)];
        let lane = tokio::spawn(lane(&connection, &leaf, &signals, directory.lane()).run());
        eventually("the first one", || came(&leaf, "a").len() == 1).await?;
        let asked = || ditto.asked().iter().filter(|asked| asked.path == "things/acme:a").count();
        let mut questions = 0;
        eventually("more questions", || {
            questions += asked();
            questions >= 3
        })
        .await?;
        assert_eq!(came(&leaf, "a"), [(1, "1".to_owned())]);
        for site in [2, 3] {
            ditto.set_thing("acme:a", "acme:p", &json!({"site": site}));
        }
        lane.await?;
        assert_eq!(came(&leaf, "a"), [(1, "1".to_owned()), (3, "3".to_owned())]);
        Ok(())
    })
}
