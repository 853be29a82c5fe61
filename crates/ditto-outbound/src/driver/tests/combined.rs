//! A connection and its targets on hold at the same time.

use super::*;
use crate::feed::{Feed, FeedRecord, Origin, Payload};

/// Answers by topic, revision, and how often that record was tried.
fn scripted(script: fn(&str, u64, u32) -> Option<DeliverErrorKind>) -> RecordingLeaf {
    let mut times = HashMap::<(String, u64), u32>::new();
    RecordingLeaf::new(move |record| {
        let topic = record.destination.topic.as_str().to_owned();
        let message: Value = serde_json::from_slice(&record.payload).unwrap();
        let revision = message["revision"].as_u64().unwrap_or_default();
        let times = times.entry((topic.clone(), revision)).or_default();
        *times += 1;
        match script(&topic, revision, *times) {
            None => Answer::Deliver(Delivered::default()),
            Some(kind) => Answer::Fail(DeliverError::new(kind, "not now")),
        }
    })
}

/// A message from time to time.
struct Slow {
    texts: VecDeque<String>,
    pause: Duration,
    sleep: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

impl Slow {
    fn new(pause: Duration, texts: impl IntoIterator<Item = String>) -> Self {
        Self { texts: texts.into_iter().collect(), pause, sleep: None }
    }
}

impl Feed for Slow {
    const CAN_REPLAY: bool = true;
    type Ticket = ();

    fn poll_records(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<FeedRecord<()>>>> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.pause)));
        std::task::ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(self.texts.pop_front().map(|text| {
            let payload = Payload::Text(text.into());
            vec![FeedRecord {
                payload,
                headers: Vec::new(),
                timestamp_ms: Some(now_ms()),
                ticket: (),
                origin: Origin::default(),
            }]
        }))
    }

    fn settle(&mut self, tickets: &mut Vec<()>) {
        tickets.clear();
    }
}

/// Whether a lane gets to its end in time.
fn ends<F: Feed>(connection: &Arc<CompiledConnection>, leaf: impl Leaf, feed: F, limit: Duration) -> bool {
    let policy = InternalHeaders::Strip { default_read_subjects: vec!["r".to_owned()] };
    let intake = Intake::new(FeedPolicy { internal_headers: policy, ..FeedPolicy::default() });
    let lane = Lane::new(feed, intake, vec![(connection.clone(), leaf)], Box::new(NoAcknowledgements));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(limit, lane.run()).await }).is_ok()
}

const LIMIT: Duration = Duration::from_secs(15);

fn message(timeout: &str) -> String {
    json!({
        "topic": "a/t/things/live/messages/hello", "path": "/inbox/messages/hello", "value": "x",
        "headers": {"timeout": timeout, "content-type": "text/plain"}
    })
    .to_string()
}

/// The record that is tried for the connection fails by its topic: so the connection is there.
#[test]
fn a_try_that_fails_otherwise_ends_the_hold_of_the_connection() {
    for on_hold in [OnHold::Wait, OnHold::Drop] {
        let connection = compile(&["wrong", "right/k"], on_hold);
        let mut times = 0;
        let leaf = RecordingLeaf::new(move |record| {
            times += u32::from(record.destination.topic.as_str() == "wrong");
            let kind = match (record.destination.topic.as_str(), times) {
                ("wrong", 1) => DeliverErrorKind::Connection(ANY),
                ("wrong", 2..=4) => DeliverErrorKind::Target(ANY),
                _ => return Answer::Deliver(Delivered::default()),
            };
            Answer::Fail(DeliverError::new(kind, "not now"))
        });
        let texts = (1..=14).map(|revision| event(0, revision, &json!({})));
        let feed = Slow::new(Duration::from_millis(600), texts);
        assert!(ends(&connection, leaf.clone(), feed, Duration::from_secs(30)));
        assert_eq!((connection.held(), connection.targets()[0].held()), (None, None), "{on_hold:?}");
        let (wrong, right) = (revisions(&leaf.sent(), "wrong"), revisions(&leaf.sent(), "right"));
        if on_hold == OnHold::Wait {
            assert_eq!((wrong, right), ((1..=14).collect(), (1..=14).collect()));
        } else {
            assert!(wrong.ends_with(&[13, 14]) && right.ends_with(&[4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]));
            counts(&connection);
        }
    }
}

/// A target that is missing for ever holds no other one, whatever the connection went through.
#[test]
fn a_target_on_hold_leaves_the_connection_alone() {
    let connection = compile(&["wrong", "right/k"], OnHold::Wait);
    let leaf = scripted(|topic, _, times| match (topic, times) {
        ("wrong", 1) => Some(DeliverErrorKind::Connection(ANY)),
        ("wrong", _) => Some(DeliverErrorKind::Target(ANY)),
        _ => None,
    });
    let feed = ReplayFeed::of_texts((1..=20).map(|revision| event(0, revision, &json!({}))));
    assert!(!ends(&connection, leaf, feed, Duration::from_secs(4)), "it waits for the missing one");
    assert_eq!(connection.targets()[1].counters().snapshot().published, 20);
    assert_eq!(connection.held(), None);
}

/// The record that both are tried with expires: others are tried.
#[test]
fn a_try_that_expires_makes_room_for_the_next() {
    let connection = compile(&["live"], OnHold::Wait);
    let leaf = scripted(|_, revision, times| match (revision, times) {
        (0, 1) => Some(DeliverErrorKind::Connection(ANY)),
        (0, _) => Some(DeliverErrorKind::Target(ANY)),
        _ => None,
    });
    let texts =
        std::iter::once(message("900ms")).chain((1..=5).map(|revision| event(0, revision, &json!({}))));
    assert!(ends(&connection, leaf, Slow::new(Duration::from_millis(200), texts), LIMIT));
    assert_eq!(counts(&connection), ["live: 5 published, 1 expired"]);
    assert_eq!((connection.held(), connection.targets()[0].held()), (None, None));
}

#[test]
fn a_target_s_records_keep_their_order_through_both_holds() {
    let connection = compile(&["one"], OnHold::Wait);
    let leaf = scripted(|_, revision, times| match (revision, times) {
        (1, 1 | 2) => Some(DeliverErrorKind::Connection(ANY)),
        (2, 1) => Some(DeliverErrorKind::Target(ANY)),
        _ => None,
    });
    let feed = ReplayFeed::of_texts((1..=7).map(|revision| event(0, revision, &json!({}))));
    assert!(ends(&connection, leaf.clone(), feed, LIMIT));
    // The batch of the feed has seven: five were on their way.
    assert_eq!(revisions(&leaf.sent(), "one"), [3, 4, 5, 6, 7, 1, 2]);
}

/// What waits behind records that have to be sent alone is not forgotten when those find their topic gone.
#[test]
fn what_waits_behind_a_batch_is_dropped_with_it() {
    let connection = compile(&["one"], OnHold::Drop);
    let leaf = scripted(|_, revision, times| match (revision, times) {
        (1..=2, 1) => Some(DeliverErrorKind::Batch(ANY)),
        (1..=2, _) => Some(DeliverErrorKind::Target(ANY)),
        _ => None,
    });
    let feed = ReplayFeed::of_texts((1..=9).map(|revision| event(0, revision, &json!({}))));
    assert!(ends(&connection, leaf, feed, LIMIT));
    assert_eq!(counts(&connection), ["one: 5 published, 4 on-hold"]);
}

/// Records of one topic that are enqueued before the next report are a batch; its size is bounded.
struct Batching {
    limit: usize,
    queued: Vec<Destined>,
    has_lingered: bool,
}

impl Service<Destined> for Batching {
    type Response = Enqueued;
    type Error = DeliverError;
    type Future = std::future::Ready<Result<Enqueued, DeliverError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DeliverError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, record: Destined) -> Self::Future {
        self.queued.push(record.clone());
        std::future::ready(Ok(Enqueued::Queued(record.into_written())))
    }
}

impl Completing for Batching {
    fn poll_completions(&mut self, cx: &mut Context<'_>, completions: &mut Vec<Completion>) -> Poll<()> {
        if self.queued.is_empty() {
            return Poll::Pending;
        }
        self.has_lingered = !self.has_lingered;
        if self.has_lingered {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let (alone, batch): (Vec<_>, Vec<_>) = self.queued.drain(..).partition(|record| record.is_alone);
        let size: usize = batch.iter().map(|record| record.payload.len()).sum();
        completions.extend(alone.into_iter().chain(batch).map(|record| {
            let is_refused = !record.is_alone && size > self.limit;
            let error = DeliverError::new(DeliverErrorKind::Batch(ANY), "too large");
            let token = record.token;
            let refused = Undelivered { error, record: Some(Box::new(record)) };
            Completion { token, result: if is_refused { Err(refused) } else { Ok(Delivered::default()) } }
        }));
        Poll::Ready(())
    }

    fn take_back(&mut self) {}

    fn trouble(&self) -> Option<DeliverError> {
        None
    }
}

/// Two targets write to one topic, and each of their records fits.
#[test]
fn targets_of_one_topic_fail_nothing_of_each_other() {
    let connection = compile(&["small/a", "small/{{ thing:id }}"], OnHold::Wait);
    let one = event(0, 1, &json!({})).len();
    let leaf = Batching { limit: one + one / 2, queued: Vec::new(), has_lingered: false };
    let feed = ReplayFeed::of_texts((1..=5).map(|revision| event(0, revision, &json!({}))));
    assert!(ends(&connection, leaf, feed, LIMIT));
    assert_eq!(counts(&connection), ["small/a: 5 published", "small/{{ thing:id }}: 5 published"]);
}

/// The late answer is by what ails the target that it is for.
#[test]
fn a_late_answer_names_its_own_trouble() {
    let connection = compile(&["wrong", "right/k"], OnHold::Wait);
    let leaf = RecordingLeaf::new(|record| match record.destination.topic.as_str() {
        "wrong" => {
            let kind = DeliverErrorKind::Target(Refusal { retriable: false });
            Answer::Fail(DeliverError::new(kind, "no permission"))
        }
        _ => Answer::Silence,
    });
    let sink = RecordingSink::default();
    let headers = json!({"requested-acks": ["c:5", "c:7"], "timeout": "700ms"});
    let policy = InternalHeaders::Strip { default_read_subjects: vec!["r".to_owned()] };
    let intake = Intake::new(FeedPolicy { internal_headers: policy, ..FeedPolicy::default() });
    let feed = ReplayFeed::of_texts([event(0, 1, &headers)]);
    let lane = Lane::new(feed, intake, vec![(connection.clone(), leaf)], Box::new(sink.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(2), lane.run()).await });
    assert!(ended.is_err());
    let sent = sink.sent();
    let said: Vec<(String, u16)> =
        sent.iter().flat_map(|sent| sent.iter().map(|it| (it.label.to_string(), it.status))).collect();
    assert_eq!(said, [("c:5".to_owned(), 400), ("c:7".to_owned(), 500)]);
}
