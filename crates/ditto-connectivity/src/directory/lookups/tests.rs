use std::collections::{HashMap, HashSet};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;

/// Something with a revision and a weight.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Thing {
    revision: Option<i64>,
    weight: usize,
}

impl Found for Thing {
    fn weight(&self) -> usize {
        self.weight
    }

    fn revision(&self) -> Option<i64> {
        self.revision
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

const BOUNDS: Bounds = Bounds {
    max_age: Duration::from_secs(10),
    absent_age: Duration::from_secs(10),
    max_lag: Duration::from_secs(10),
    concurrency: 2,
    max_bytes: 1_500,
};

fn revision(revision: i64) -> Finding<Thing> {
    let validator = Some(format!("rev:{revision}").into());
    Finding::Found { value: Thing { revision: Some(revision), weight: 10 }, validator }
}

/// Look-ups with a clock, and one lane that waits for what it asks for.
struct Bench {
    lookups: Lookups<Thing>,
    lane: LaneId,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let mut lookups = Lookups::new(BOUNDS);
        let lane = lookups.lanes().enter();
        Self { lookups, lane, now: Instant::now() }
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    fn ask(&mut self, id: &str) -> Standing {
        self.ask_for(id, Some(BOUNDS.max_age), None)
    }

    fn ask_for(&mut self, id: &str, max_age: Option<Duration>, at_least: Option<i64>) -> Standing {
        let want = Want { lane: self.lane, thing: id, max_age, at_least };
        self.lookups.ask(Kind::Thing, id, &want, self.now).1
    }

    fn requests(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        while let Next::Ask(request) = self.lookups.next(self.now) {
            requests.push(request);
        }
        requests
    }

    #[track_caller]
    fn request(&mut self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    fn answer(&mut self, request: &Request, finding: Finding<Thing>) {
        self.lookups.answered(request, finding, self.now);
    }

    fn news(&mut self) -> Vec<String> {
        let mut news = Vec::new();
        let polled = self.lookups.lanes().poll(self.lane, &mut Context::from_waker(Waker::noop()), &mut news);
        assert_eq!(polled.is_ready(), !news.is_empty());
        news
    }
}

#[test]
fn one_question_answers_everybody_who_waits() {
    let mut bench = Bench::new();
    let other = bench.lookups.lanes().enter();
    assert_eq!(bench.ask("a"), Standing::Pending);
    for thing in ["a", "b", "c", "b"] {
        let want = Want { lane: other, thing, max_age: None, at_least: None };
        assert_eq!(bench.lookups.ask(Kind::Thing, "a", &want, bench.now).1, Standing::Pending);
    }
    assert_eq!(bench.lookups.counts().waiting, 4);
    let request = bench.request();
    assert_eq!(bench.ask("a"), Standing::Pending);
    assert_eq!(bench.requests(), []);
    bench.answer(&request, revision(1));
    assert_eq!(bench.news(), ["a"]);
    let mut news = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(bench.lookups.lanes().poll(other, &mut cx, &mut news), Poll::Ready(()));
    assert_eq!(news, ["a", "b", "c"], "in the order in which they came");
    assert_eq!(bench.ask("a"), Standing::Known);
    assert_eq!(bench.lookups.counts().waiting, 0);
}

#[test]
fn an_answer_counts_from_when_it_was_asked_for() {
    let mut bench = Bench::new();
    bench.ask("a");
    let request = bench.request();
    bench.pass(4_000);
    bench.answer(&request, revision(1));
    assert_eq!(bench.ask("a"), Standing::Known);
    bench.pass(6_000);
    assert_eq!(bench.ask("a"), Standing::Known);
    bench.pass(1);
    assert_eq!(bench.ask("a"), Standing::Pending);
}

#[test]
fn what_is_used_is_asked_for_again_before_it_is_needed() {
    let mut bench = Bench::new();
    bench.ask("a");
    let request = bench.request();
    bench.answer(&request, revision(1));
    bench.pass(7_500);
    assert_eq!(bench.ask("a"), Standing::Known);
    assert_eq!(bench.requests(), []);
    bench.pass(1);
    assert_eq!(bench.ask("a"), Standing::Known);
    let request = bench.request();
    assert_eq!(request.validator.as_deref(), Some("rev:1"));
    bench.answer(&request, Finding::NotModified);
    assert_eq!(bench.lookups.version(request.entry), Some(1));
    bench.pass(7_000);
    assert_eq!(bench.ask("a"), Standing::Known);
    assert_eq!(bench.lookups.counts().not_modified, 1);
    assert_eq!(bench.news(), ["a"], "the first one was waited for");
}

#[test]
fn what_is_gone_is_remembered_and_asked_for_without_a_validator() {
    let mut bench = Bench::new();
    bench.ask("a");
    let request = bench.request();
    bench.answer(&request, revision(1));
    bench.pass(20_000);
    assert_eq!(bench.ask("a"), Standing::Pending);
    let request = bench.request();
    bench.answer(&request, Finding::Absent);
    assert_eq!(bench.ask("a"), Standing::Absent);
    assert!(bench.lookups.found(request.entry).is_some());
    bench.pass(10_001);
    assert_eq!(bench.ask("a"), Standing::Pending);
    assert_eq!(bench.request().validator, None);
}

#[test]
fn an_event_makes_older_answers_void_also_those_on_their_way() {
    let mut bench = Bench::new();
    bench.ask("a");
    let request = bench.request();
    bench.pass(10);
    bench.lookups.invalidate(request.entry, Some(2), true);
    bench.answer(&request, revision(1));
    assert!(bench.lookups.found(request.entry).is_none(), "it may be that of before");
    assert_eq!(bench.news(), ["a"]);
    assert_eq!(bench.ask("a"), Standing::Pending);
    let request = bench.request();
    bench.pass(10);
    // Another lane reads the same event later.
    bench.lookups.invalidate(request.entry, Some(2), true);
    bench.answer(&request, revision(2));
    assert_eq!(bench.ask("a"), Standing::Known);
}

#[test]
fn a_source_that_lags_is_given_time_and_then_believed() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask_for("a", None, Some(5)), Standing::Pending);
    let mut questions = 0;
    let start = bench.now;
    while bench.ask_for("a", None, Some(5)) == Standing::Pending {
        match bench.lookups.next(bench.now) {
            Next::Ask(request) => bench.answer(&request, revision(4)),
            Next::Wait(until) => bench.now = until.unwrap(),
        }
        questions += 1;
        assert!(questions < 50, "{:?}", bench.now - start);
    }
    assert!(bench.now - start >= BOUNDS.max_lag && bench.now - start < BOUNDS.max_lag * 2);
    assert_eq!(bench.lookups.counts().behind, 1);
    // It has caught up.
    bench.pass(11_000);
    assert_eq!(bench.ask_for("a", None, Some(5)), Standing::Pending);
    let request = bench.request();
    bench.answer(&request, revision(6));
    assert_eq!(bench.ask_for("a", None, Some(6)), Standing::Known);
    bench.pass(100_000);
    assert_eq!(bench.ask_for("a", None, Some(6)), Standing::Known, "it is as new as the signal");
    assert_eq!(bench.ask_for("a", None, Some(7)), Standing::Pending);
    let request = bench.request();
    bench.answer(&request, revision(7));
    assert_eq!(bench.ask_for("a", None, Some(7)), Standing::Known);
}

#[test]
fn an_outage_of_one_is_none_of_the_others() {
    let mut bench = Bench::new();
    bench.ask("a");
    let request = bench.request();
    bench.answer(&request, Finding::Unavailable(Outage::of_entry("500 for a")));
    assert_eq!(bench.lookups.trouble(), Some("500 for a"));
    assert_eq!((bench.news(), bench.ask("a")), (vec![], Standing::Pending));
    bench.ask("b");
    let request = bench.request();
    assert_eq!(&*request.key.id, "b");
    bench.answer(&request, revision(1));
    assert_eq!(bench.news(), ["b"]);
    assert_eq!(bench.lookups.trouble(), Some("500 for a"));
    let Next::Wait(Some(until)) = bench.lookups.next(bench.now) else { panic!("nothing rests") };
    bench.now = until;
    let request = bench.request();
    bench.answer(&request, revision(1));
    assert_eq!((bench.news(), bench.lookups.trouble()), (vec!["a".to_owned()], None));
}

#[test]
fn a_source_that_is_away_is_asked_by_one_at_a_time() {
    let mut bench = Bench::new();
    for id in ["a", "b", "c"] {
        bench.ask(id);
    }
    let requests = bench.requests();
    assert_eq!(requests.len(), BOUNDS.concurrency);
    let outage = Outage { retry_after: Some(Duration::from_secs(3)), ..Outage::of_source("429") };
    for request in &requests {
        bench.answer(request, Finding::Unavailable(outage.clone()));
    }
    assert_eq!(bench.lookups.next(bench.now), Next::Wait(Some(bench.now + Duration::from_secs(3))));
    bench.pass(3_000);
    let request = bench.request();
    bench.answer(&request, Finding::Absent);
    assert_eq!(bench.lookups.trouble(), Some("429"), "the other one was not answered yet");
    let requests = bench.requests();
    assert_eq!(requests.len(), BOUNDS.concurrency);
    for request in requests {
        bench.answer(&request, Finding::Absent);
    }
    assert_eq!((bench.news().len(), bench.lookups.trouble()), (3, None));
}

#[test]
fn whom_the_source_refuses_alone_holds_up_nobody() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (0..20).map(|n| n.to_string()).chain(["refused".to_owned()]).rev().collect();
    for id in &ids {
        bench.ask(id);
    }
    let start = bench.now;
    let mut answered = 0;
    while answered < 20 {
        match bench.lookups.next(bench.now) {
            Next::Ask(request) if &*request.key.id == "refused" => {
                bench.answer(&request, Finding::Unavailable(Outage::of_source("403")));
            }
            Next::Ask(request) => {
                answered += 1;
                bench.pass(10);
                bench.answer(&request, revision(1));
            }
            Next::Wait(until) => bench.now = until.unwrap(),
        }
    }
    assert!(bench.now - start < Duration::from_secs(1), "{:?}", bench.now - start);
    assert_eq!((bench.lookups.counts().waiting, bench.lookups.trouble()), (1, Some("403")));
}

#[test]
fn not_modified_is_no_answer_to_who_knows_nothing() {
    let mut bench = Bench::new();
    bench.ask("a");
    let request = bench.request();
    bench.answer(&request, Finding::NotModified);
    assert_eq!(bench.ask("a"), Standing::Pending);
    assert_eq!(bench.lookups.counts().outages, 1);
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let mut bench = Bench::new();
    for id in ["first", "used", "a", "b", "c", "d", "e", "f", "g"] {
        bench.ask("used");
        bench.ask(id);
        for request in bench.requests() {
            bench.answer(&request, revision(1));
        }
        assert!(bench.lookups.counts().bytes <= 1_500);
    }
    let is_kept = |id: &&str| bench.lookups.look(Kind::Thing, id).is_some();
    let kept: Vec<_> =
        ["first", "used", "a", "b", "c", "d", "e", "f", "g"].into_iter().filter(is_kept).collect();
    assert_eq!(kept, ["used", "d", "e", "f", "g"]);
}

#[derive(Debug, Clone)]
enum Step {
    Ask { lane: usize, id: usize, max_age: Option<u64>, at_least: Option<i64> },
    Pass(u64),
    Look,
    Answer { which: usize, finding: usize, revision: i64 },
    Invalidate { id: usize, revision: Option<i64>, forget: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_usize, 0..6_usize, prop::option::of(0..12_000_u64), prop::option::of(0..5_i64))
            .prop_map(|(lane, id, max_age, at_least)| Step::Ask { lane, id, max_age, at_least }),
        2 => (0..4_000_u64).prop_map(Step::Pass),
        3 => Just(Step::Look),
        3 => (0..4_usize, 0..6_usize, 0..6_i64)
            .prop_map(|(which, finding, revision)| Step::Answer { which, finding, revision }),
        1 => (0..6_usize, prop::option::of(0..5_i64), any::<bool>())
            .prop_map(|(id, revision, forget)| Step::Invalidate { id, revision, forget }),
    ]
}

/// What the laws are judged by.
#[derive(Default)]
struct Model {
    open: Vec<Request>,
    /// For each key the last answer that no event has made void: when it was asked for, and the revision if there is one.
    answers: HashMap<Arc<str>, (Instant, Option<i64>)>,
    /// For each key the newest revision of the events of it.
    told: HashMap<Arc<str>, Option<i64>>,
    /// Requests whose answer may be that of before an event.
    overtaken: Vec<Request>,
    /// Who was told to wait, and not told more since.
    waiting: HashSet<(usize, String)>,
}

impl Model {
    fn look(&mut self, lookups: &mut Lookups<Thing>, now: Instant) {
        while let Next::Ask(request) = lookups.next(now) {
            assert!(self.open.iter().all(|open| open.key != request.key), "asked twice");
            assert_eq!(request.asked_at, now);
            self.open.push(request);
        }
        assert!(self.open.len() <= BOUNDS.concurrency);
    }

    fn answer(&mut self, lookups: &mut Lookups<Thing>, which: usize, finding: Finding<Thing>, now: Instant) {
        if self.open.is_empty() {
            return;
        }
        let request = self.open.remove(which % self.open.len());
        let id = request.key.id.clone();
        let late = self.overtaken.iter().position(|it| *it == request);
        let is_late = late.map(|at| self.overtaken.swap_remove(at)).is_some();
        match &finding {
            _ if is_late => {}
            Finding::Found { value, .. } => {
                self.answers.insert(id, (request.asked_at, value.revision));
            }
            Finding::NotModified if request.validator.is_some() => {
                // Whatever was forgotten meanwhile cannot be confirmed.
                if let Some(answer) = self.answers.get_mut(&id) {
                    answer.0 = request.asked_at;
                }
            }
            Finding::Absent => {
                self.answers.insert(id, (request.asked_at, None));
            }
            Finding::NotModified | Finding::Unavailable(_) => {}
        }
        lookups.answered(&request, finding, now);
    }

    fn hear(&mut self, lookups: &mut Lookups<Thing>, lanes: &[LaneId]) {
        for (number, lane) in lanes.iter().enumerate() {
            let mut news = Vec::new();
            let _ready = lookups.lanes().poll(*lane, &mut Context::from_waker(Waker::noop()), &mut news);
            for thing in news {
                self.waiting.remove(&(number, thing));
            }
        }
    }
}

fn finding(kind: usize, revision: i64) -> Finding<Thing> {
    let validator: Option<Arc<str>> = Some(format!("rev:{revision}").into());
    match kind {
        0 => Finding::NotModified,
        1 => Finding::Absent,
        2 => Finding::Unavailable(Outage::of_entry("500")),
        3 => Finding::Unavailable(Outage::of_source("away")),
        _ => Finding::Found { value: Thing { revision: Some(revision), weight: 300 }, validator },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Nothing is asked for twice at a time, nothing old counts, nobody waits in vain, and memory is bounded.
    #[test]
    fn laws(steps in prop::collection::vec(step(), 0..80)) {
        let mut lookups = Lookups::new(BOUNDS);
        let lanes = [lookups.lanes().enter(), lookups.lanes().enter()];
        let mut now = Instant::now();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Ask { lane, id, max_age, at_least } => {
                    let id = id.to_string();
                    let max_age = max_age.map(Duration::from_millis);
                    let want = Want { lane: lanes[lane], thing: &id, max_age, at_least };
                    let before = lookups.counts().behind;
                    let standing = lookups.ask(Kind::Policy, &id, &want, now).1;
                    let answer = model.answers.get(&*id);
                    let asked_at = answer.map(|(asked_at, _)| *asked_at);
                    match standing {
                        Standing::Pending => drop(model.waiting.insert((lane, id))),
                        Standing::Known => {
                            prop_assert!(max_age.is_none_or(|age| asked_at.is_some_and(|at| at + age >= now)));
                            let is_enough = answer.is_some_and(|(_, revision)| *revision >= at_least);
                            prop_assert!(is_enough || lookups.counts().behind > before, "an older revision");
                        }
                        Standing::Absent => {
                            let is_absent = answer.is_some_and(|(_, revision)| revision.is_none());
                            let is_new = asked_at.is_some_and(|at| at + BOUNDS.absent_age >= now);
                            prop_assert!(is_absent && is_new);
                        }
                    }
                }
                Step::Pass(millis) => now += Duration::from_millis(millis),
                Step::Look => model.look(&mut lookups, now),
                Step::Answer { which, finding: kind, revision } => {
                    model.answer(&mut lookups, which, finding(kind, revision), now);
                }
                Step::Invalidate { id, revision, forget } => {
                    let id: Arc<str> = id.to_string().into();
                    if let Some((entry, _)) = lookups.look(Kind::Policy, &id) {
                        let told = model.told.get(&id).copied().flatten();
                        if revision.is_none() || revision > told {
                            model.told.insert(id.clone(), told.max(revision));
                            model.answers.remove(&id);
                            model.overtaken.extend(model.open.iter().filter(|it| it.key.id == id).cloned());
                        }
                        lookups.invalidate(entry, revision, forget);
                    }
                }
            }
            model.hear(&mut lookups, &lanes);
            prop_assert_eq!(lookups.counts().waiting, model.waiting.len() as u64);
        }
        // Once the source answers, everybody is told.
        for _ in 0..200 {
            model.look(&mut lookups, now);
            if model.open.is_empty() {
                let Next::Wait(Some(until)) = lookups.next(now) else { break };
                now = until;
            }
            model.answer(&mut lookups, 0, finding(4, 9), now);
            model.hear(&mut lookups, &lanes);
        }
        prop_assert!(model.waiting.is_empty(), "{:?} wait in vain", model.waiting);
        prop_assert!(lookups.counts().bytes <= BOUNDS.max_bytes as u64 || lookups.counts().lookups == 0);
        prop_assert_eq!(lookups.trouble(), None);
    }
}
