use std::collections::BTreeMap;

use ditto_authorization::{AuthorizationContext, Decision};
use ditto_protocol::Limits;
use serde_json::{Value, json};

use super::super::lookups::{Bounds, DirectoryCounts, Next};
use super::super::source::Finding;
use super::*;

/// A policy that lets `readers` read everything; with imports.
fn policy(readers: &[&str], imports: &[&str]) -> String {
    policy_with(readers, &[], imports)
}

fn policy_with(readers: &[&str], revoked: &[&str], imports: &[&str]) -> String {
    let subjects = |ids: &[&str]| -> Value {
        ids.iter()
            .map(|id| ((*id).to_owned(), json!({"type": "generated"})))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let imports: serde_json::Map<_, _> = imports.iter().map(|id| ((*id).to_owned(), json!({}))).collect();
    json!({
        "entries": {
            "readers": {
                "subjects": subjects(readers), "resources": {"thing:/": {"grant": ["READ"], "revoke": []}}
            },
            "others": {
                "subjects": subjects(revoked), "resources": {"thing:/": {"grant": [], "revoke": ["READ"]}}
            },
        },
        "imports": imports,
    })
    .to_string()
}

fn thing(policy: &str, revision: i64) -> String {
    json!({"thingId": "acme:t", "policyId": policy, "_revision": revision}).to_string()
}

fn event(action: &str, path: &str, revision: i64, value: Option<Value>) -> Signal {
    let mut event = json!({
        "topic": format!("acme/t/things/twin/events/{action}"), "path": path, "headers": {}, "revision": revision
    });
    if let Some(value) = value {
        event["value"] = value;
    }
    Signal::decode(event.to_string().into(), &Limits::default()).unwrap()
}

/// A directory whose source answers when it is told to.
struct Bench {
    knowledge: Knowledge,
    lane: LaneId,
    now: Instant,
    clock: SystemTime,
    known: BTreeMap<String, String>,
}

impl Bench {
    fn new(sees_everything: bool) -> Self {
        let age = Duration::from_secs(10);
        let bounds =
            Bounds { max_age: age, absent_age: age, max_lag: age, concurrency: 8, max_bytes: 1 << 20 };
        let rules = Rules { policy_age: age, thing_age: age, heeds_events: true, sees_everything };
        let mut lookups = Lookups::new(bounds);
        let lane = lookups.lanes().enter();
        let knowledge = Knowledge::new(lookups, rules);
        Self { knowledge, lane, now: Instant::now(), clock: SystemTime::now(), known: BTreeMap::new() }
    }

    fn set(&mut self, id: &str, text: impl Into<String>) {
        self.known.insert(id.to_owned(), text.into());
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.clock += Duration::from_secs(seconds);
    }

    /// What is asked for now, answered. The ids.
    fn answer(&mut self) -> Vec<String> {
        let mut requests = Vec::new();
        while let Next::Ask(request) = self.knowledge.lookups.next(self.now) {
            requests.push(request);
        }
        for request in &requests {
            let finding = match self.known.get(&*request.key.id) {
                Some(text) => {
                    Finding::Found { value: Fact::read(&request.key, text.clone()), validator: None }
                }
                None => Finding::Absent,
            };
            self.knowledge.lookups.answered(request, finding, self.now);
        }
        requests.iter().map(|request| request.key.id.to_string()).collect()
    }

    fn enforcer(&mut self, signal: &Signal) -> DirectoryAnswer<Arc<Enforcer>> {
        let asker = Asker { lane: self.lane, thing: "acme:t", now: self.now, clock: self.clock };
        loop {
            match self.knowledge.enforcer(signal, &asker) {
                Policed::Answer(answer) => return answer,
                Policed::Compile(compile) => {
                    let enforcer = compile.compile(self.clock);
                    self.knowledge.keep(*compile, enforcer);
                }
            }
        }
    }

    /// Whether `integ:r` may read, once everything is answered; none if nobody may. And what was asked for meanwhile.
    #[track_caller]
    fn decide(&mut self, signal: &Signal) -> (Option<bool>, Vec<Vec<String>>) {
        let mut asked = Vec::new();
        loop {
            let reader: AuthorizationContext = ["integ:r"].into_iter().collect();
            match self.enforcer(signal) {
                DirectoryAnswer::Known(enforcer) => {
                    return (Some(enforcer.decide(&reader, signal) == Decision::Granted), asked);
                }
                DirectoryAnswer::Absent => return (None, asked),
                DirectoryAnswer::Pending => asked.push(self.answer()),
            }
            assert!(asked.len() < 10, "{asked:?}");
        }
    }

    fn observe(&mut self, signal: &Signal) {
        self.knowledge.observe(signal, "acme:t");
    }

    fn counts(&self) -> DirectoryCounts {
        self.knowledge.lookups.counts()
    }
}

fn modified(revision: i64) -> Signal {
    event("modified", "/attributes/x", revision, Some(json!(1)))
}

#[test]
fn what_is_known_is_asked_for_at_once_when_it_is_old() {
    let mut bench = Bench::new(true);
    bench.set("acme:t", thing("acme:p", 1));
    bench.set("acme:p", policy(&["integ:r"], &["acme:i"]));
    bench.set("acme:i", policy(&[], &["acme:ignored"]));
    let (read, asked) = bench.decide(&modified(1));
    assert_eq!((read, asked.concat()), (Some(true), vec!["acme:t".into(), "acme:p".into(), "acme:i".into()]));
    assert_eq!(bench.decide(&modified(1)), (Some(true), vec![]));
    bench.pass(11);
    let (read, asked) = bench.decide(&modified(2));
    // One round: one after the other could take longer than an answer counts.
    assert_eq!((read, asked), (Some(true), vec![vec!["acme:t".into(), "acme:p".into(), "acme:i".into()]]));
}

#[test]
fn a_policy_is_compiled_once_for_all_of_its_things() {
    let mut bench = Bench::new(true);
    bench.set("acme:t", thing("acme:p", 1));
    bench.set("acme:p", policy(&["integ:r"], &[]));
    bench.decide(&modified(1));
    let DirectoryAnswer::Known(first) = bench.enforcer(&modified(1)) else { panic!("not known") };
    bench.pass(11);
    bench.decide(&modified(2));
    let DirectoryAnswer::Known(second) = bench.enforcer(&modified(2)) else { panic!("not known") };
    assert!(Arc::ptr_eq(&first, &second), "the same text");
    bench.set("acme:p", policy(&[], &[]));
    bench.pass(11);
    assert_eq!(bench.decide(&modified(3)).0, Some(false));
}

#[test]
fn an_imported_policy_counts_with_its_changes() {
    let mut bench = Bench::new(true);
    bench.set("acme:t", thing("acme:p", 1));
    bench.set("acme:p", policy(&["integ:r"], &["acme:i"]));
    bench.set("acme:i", policy(&[], &[]));
    assert_eq!(bench.decide(&modified(1)).0, Some(true));
    bench.set("acme:i", policy_with(&[], &["integ:r"], &[]));
    bench.pass(11);
    assert_eq!(bench.decide(&modified(2)).0, Some(false));
    bench.known.remove("acme:i");
    bench.pass(11);
    assert_eq!(bench.decide(&modified(3)).0, Some(true), "what is not there revokes nothing");
    // A source that does not see everything cannot tell.
    let mut bench = Bench::new(false);
    bench.set("acme:t", thing("acme:p", 1));
    bench.set("acme:p", policy(&["integ:r"], &["acme:i"]));
    assert_eq!(bench.decide(&modified(1)).0, None);
    assert_eq!(bench.decide(&modified(1)), (None, vec![]));
    bench.set("acme:i", policy(&[], &[]));
    bench.pass(11);
    assert_eq!(bench.decide(&modified(2)).0, Some(true));
}

#[test]
fn nobody_reads_by_what_is_not_there_or_not_understood() {
    let mut bench = Bench::new(true);
    assert_eq!(bench.decide(&modified(1)).0, None, "no thing");
    bench.set("acme:t", thing("acme:p", 1));
    bench.pass(11);
    assert_eq!(bench.decide(&modified(1)).0, None, "no policy");
    for broken in [r#"{"entries": 5}"#.to_owned(), policy(&["integ:r"], &["acme:i"])] {
        bench.set("acme:p", broken);
        bench.set("acme:i", "[]");
        bench.pass(11);
        assert_eq!(bench.decide(&modified(1)).0, None);
    }
    bench.set("acme:t", r#"{"thingId": "acme:t"}"#);
    bench.set("acme:i", policy(&[], &[]));
    bench.pass(11);
    assert_eq!(bench.decide(&modified(1)).0, None, "a thing whose policy is hidden");
}

#[test]
fn a_subject_has_no_effect_after_its_expiry() {
    let mut bench = Bench::new(true);
    bench.clock = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    bench.set("acme:t", thing("acme:p", 1));
    bench.set(
        "acme:p",
        json!({"entries": {"readers": {
            "subjects": {"integ:r": {"type": "generated", "expiry": "2001-09-09T01:46:45Z"}},
            "resources": {"thing:/": {"grant": ["READ"], "revoke": []}}
        }}})
        .to_string(),
    );
    assert_eq!(bench.decide(&modified(1)).0, Some(true));
    bench.pass(5);
    assert_eq!(bench.decide(&modified(1)), (Some(false), vec![]));
}

#[test]
fn a_deletion_is_judged_by_the_last_policy() {
    let mut bench = Bench::new(true);
    let deleted = event("deleted", "/", 3, None);
    assert_eq!(bench.decide(&deleted).0, None, "nothing was known of it");
    bench.set("acme:t", thing("acme:p", 2));
    bench.set("acme:p", policy(&["integ:r"], &[]));
    bench.pass(11);
    assert_eq!(bench.decide(&modified(2)).0, Some(true));
    bench.known.clear();
    bench.observe(&deleted);
    assert_eq!(bench.decide(&deleted).0, Some(true));
    assert_eq!(bench.decide(&modified(2)).0, None);
    bench.pass(60);
    assert_eq!(bench.decide(&deleted).0, Some(true));
    // The policy is there, and has changed.
    bench.set("acme:p", policy(&[], &[]));
    bench.pass(60);
    assert_eq!(bench.decide(&deleted).0, Some(false));
    // An event that gave it another policy: the last one known is not the last one any more.
    bench.observe(&event("modified", "/policyId", 4, Some(json!("acme:q"))));
    assert_eq!(bench.decide(&event("deleted", "/", 5, None)).0, None);
}

#[test]
fn what_was_last_known_of_a_thing_goes_with_its_deletion() {
    let mut bench = Bench::new(true);
    let deleted = event("deleted", "/", 3, None);
    let ask = |bench: &mut Bench, signal: &Signal| {
        let asker = Asker { lane: bench.lane, thing: "acme:t", now: bench.now, clock: bench.clock };
        let first = bench.knowledge.thing(signal, &asker);
        bench.answer();
        if first == DirectoryAnswer::Pending { bench.knowledge.thing(signal, &asker) } else { first }
    };
    assert_eq!(ask(&mut bench, &deleted), DirectoryAnswer::Absent, "nothing was known of it");
    bench.pass(11);
    bench.set("acme:t", thing("acme:p", 2));
    let known = DirectoryAnswer::Known(thing("acme:p", 2).into());
    assert_eq!(ask(&mut bench, &modified(2)), known);
    bench.known.clear();
    bench.observe(&deleted);
    assert_eq!(ask(&mut bench, &deleted), known);
    assert_eq!(ask(&mut bench, &modified(2)), DirectoryAnswer::Absent);
}

#[test]
fn events_are_hints_and_no_answers() {
    let mut bench = Bench::new(true);
    bench.set("acme:t", thing("acme:p", 5));
    bench.set("acme:p", policy(&[], &[]));
    bench.set("acme:q", policy(&["integ:r"], &[]));
    assert_eq!(bench.decide(&modified(5)).0, Some(false));
    let lookups = bench.counts().lookups;
    // Old news, no news, and news of something else.
    for known in [
        event("modified", "/policyId", 5, Some(json!("acme:q"))),
        event("modified", "/policyId", 6, Some(json!("acme:p"))),
        event("merged", "/", 6, Some(json!({"attributes": {"x": 1}}))),
        event("modified", "/attributes/policyId", 6, Some(json!("acme:q"))),
        event("modified", "/", 6, Some(json!({"policyId": "acme:p"}))),
    ] {
        bench.observe(&known);
        assert_eq!(bench.decide(&known).0, Some(false));
    }
    assert_eq!(bench.counts().lookups, lookups);
    // It says that another policy counts, and that one would let it pass: the source has the last word.
    for (revision, path, value) in
        [(7, "/policyId", json!("acme:q")), (8, "/", json!({"policyId": "acme:q"}))]
    {
        let news = event("modified", path, revision, Some(value));
        bench.observe(&news);
        assert_eq!(bench.decide(&news).0, Some(false));
    }
    assert_eq!(bench.counts().lookups, lookups + 2, "the policy itself is still as new as it has to be");
    bench.set("acme:t", thing("acme:q", 9));
    let news = event("modified", "/policyId", 9, Some(json!("acme:q")));
    bench.observe(&news);
    assert_eq!(bench.decide(&news).0, Some(true));
}

#[test]
fn what_was_not_there_is_asked_for_when_it_is_made() {
    let mut bench = Bench::new(true);
    assert_eq!(bench.decide(&modified(1)).0, None);
    bench.set("acme:t", thing("acme:p", 2));
    assert_eq!(bench.decide(&modified(1)), (None, vec![]));
    let created = event("created", "/", 2, Some(json!({"thingId": "acme:t", "policyId": "acme:p"})));
    bench.observe(&created);
    assert_eq!(bench.decide(&created).0, None, "the policy is not there");
    bench.set("acme:p", policy(&["integ:r"], &[]));
    let created = event("created", "/", 3, Some(json!({"thingId": "acme:t", "policyId": "acme:p"})));
    bench.observe(&created);
    assert_eq!(bench.decide(&created).0, Some(true));
}

#[test]
fn a_thing_is_as_new_as_its_signal() {
    let mut bench = Bench::new(true);
    let state = |bench: &mut Bench, signal: &Signal| {
        let asker = Asker { lane: bench.lane, thing: "acme:t", now: bench.now, clock: bench.clock };
        bench.knowledge.thing(signal, &asker)
    };
    bench.set("acme:t", thing("acme:p", 2));
    assert_eq!(state(&mut bench, &modified(2)), DirectoryAnswer::Pending);
    bench.answer();
    let known = |revision| DirectoryAnswer::Known(thing("acme:p", revision).into());
    assert_eq!(state(&mut bench, &modified(2)), known(2));
    bench.set("acme:t", thing("acme:p", 4));
    bench.pass(60);
    assert_eq!(state(&mut bench, &modified(2)), known(2));
    assert_eq!(state(&mut bench, &modified(3)), DirectoryAnswer::Pending);
    bench.answer();
    assert_eq!(state(&mut bench, &modified(3)), known(4));
    // A message has no revision: the age counts.
    let message =
        json!({"topic": "acme/t/things/live/messages/hi", "path": "/inbox/messages/hi", "headers": {}});
    let message = Signal::decode(message.to_string().into(), &Limits::default()).unwrap();
    assert_eq!(state(&mut bench, &message), known(4));
    bench.pass(11);
    assert_eq!(state(&mut bench, &message), DirectoryAnswer::Pending);
    bench.known.clear();
    bench.answer();
    assert_eq!(state(&mut bench, &message), DirectoryAnswer::Absent);
}
