//! The signals: twin events, live events, messages and commands, for readers of all, of parts and of nothing.

use serde_json::{Map, Value, json};

use super::node::{Node, covers};
use crate::campaign::fault::Chance;
use crate::campaign::work::{READER, Signal};
use crate::topics::Written;

pub(super) const AUDITOR: &str = "campaign:auditor";

/// What a reader of parts may read.
pub(super) const PARTS: [&str; 3] = ["/attributes/open", "/attributes/site", "/features/lamp"];

/// Texts of JSON, and what a script makes of them (ECMA-262, Number::toString and QuoteJSONString).
const NUMBERS: [(&str, &str); 12] = [
    ("7", "7"),
    ("450", "450"),
    ("399.5", "399.5"),
    ("1.50", "1.5"),
    ("1e3", "1000"),
    ("-0", "0"),
    ("12345678901234567890", "12345678901234567000"),
    ("0.1", "0.1"),
    ("1E-7", "1e-7"),
    ("4.0e2", "400"),
    ("402.000", "402"),
    ("-17", "-17"),
];
pub(super) const LABEL: &str = "Ünï ☃ 東京 😀";
const TEXTS: [(&str, &str); 8] = [
    ("\"plain\"", "\"plain\""),
    ("\"Ünï ☃ 東京 😀\"", "\"Ünï ☃ 東京 😀\""),
    ("\"caf\\u00e9\"", "\"café\""),
    ("\"a\\/b \\\"q\\\" \\\\ \\n\\t\"", "\"a/b \\\"q\\\" \\\\ \\n\\t\""),
    ("\"\\u2028|\\u007f\"", "\"\u{2028}|\u{7f}\""),
    ("\"\\ud83d\\ude00\"", "\"😀\""),
    ("\"\\u0001\"", "\"\\u0001\""),
    ("\"\"", "\"\""),
];

/// Where a signal belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    TwinEvent,
    LiveEvent,
    LiveMessage,
    LiveCommand,
}

/// Who may read a signal, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    /// The feed: the reader.
    Reader,
    /// The feed: somebody who has no target.
    Nobody,
    /// The feed: the reader, and of that only [`PARTS`].
    Parts,
    /// The feed: the auditor.
    Auditor,
    /// The feed: the reader, and the auditor must not.
    NotAuditor,
    /// The directory: the policy of the thing.
    Policy,
}

/// What a target gets of a signal.
#[derive(Debug, PartialEq)]
pub(super) enum Reach {
    All,
    Parts,
    Nothing,
}

/// A signal before it is written.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) signal: Signal,
    pub(super) kind: Kind,
    pub(super) action: &'static str,
    pub(super) path: String,
    pub(super) value: Option<Node>,
    pub(super) content_type: Option<&'static str>,
    /// What the script is told: `throw`, `null` or `two`.
    pub(super) order: Option<&'static str>,
    /// Whether the condition of the script does not hold.
    pub(super) is_off: bool,
    /// Whether the address that needs it has its header.
    pub(super) has_key: bool,
    pub(super) is_traced: bool,
    audience: Audience,
}

/// Things of which the policy lets the reader read parts.
pub(super) fn has_policy_of_parts(thing: usize) -> bool {
    thing % 5 == 4
}

pub(super) fn site(thing: usize) -> &'static str {
    if thing.is_multiple_of(2) { "nörd" } else { "söuth" }
}

pub(super) fn policy_id(thing: usize) -> &'static str {
    if has_policy_of_parts(thing) { "org.campaign:parts" } else { "org.campaign:full" }
}

impl Draft {
    pub(super) fn of(seed: u64, signal: Signal) -> Self {
        let mixed = seed.wrapping_mul(31).wrapping_add(signal.thing as u64 * 1_000_003);
        let mut chance = Chance::new(mixed.wrapping_add(signal.revision.wrapping_mul(7_919)));
        let mut is = |one_of: usize| chance.below(one_of) == 0;
        let (is_off, has_key, is_traced) = (is(23), !is(97), is(2));
        let order = if is(101) {
            Some("throw")
        } else if is(37) {
            Some("null")
        } else {
            is(17).then_some("two")
        };
        let is_large = is(400);
        let c = &mut chance;
        let (kind, action, path, value) = match c.below(99) {
            _ if is_large => (Kind::TwinEvent, "modified", "/attributes/blob", Some(blob(c))),
            0..30 => (Kind::TwinEvent, "modified", "/attributes/open/level", Some(number(c))),
            30..40 => (Kind::TwinEvent, "modified", "/attributes/open", Some(open(c))),
            40..50 => (Kind::TwinEvent, "modified", "/attributes", Some(attributes(c))),
            50..54 => (Kind::TwinEvent, "modified", "/attributes/secret", Some(text(c))),
            54..60 => (Kind::TwinEvent, "created", "/features/lamp/properties/on", Some(truth(c))),
            60..63 => (Kind::TwinEvent, "created", "/", Some(thing(signal, c))),
            63..68 => (Kind::TwinEvent, "merged", "/", Some(patch(c))),
            68..71 => {
                let value = Node::Object(vec![("label", Node::null()), ("level", number(c))]);
                (Kind::TwinEvent, "merged", "/attributes/open", Some(value))
            }
            71..74 => (Kind::TwinEvent, "deleted", "/attributes/old", None),
            74..76 => (Kind::TwinEvent, "deleted", "/", None),
            76..82 => (Kind::LiveMessage, "ask", "/inbox/messages/ask", Some(open(c))),
            82..86 => (Kind::LiveMessage, "alarm", "/features/lamp/outbox/messages/alarm", Some(text(c))),
            86..88 => (Kind::LiveMessage, "stop", "/inbox/messages/stop", None),
            88..93 => (Kind::LiveEvent, "modified", "/attributes/open/level", Some(number(c))),
            93..97 => (Kind::LiveCommand, "modify", "/attributes/open/level", Some(number(c))),
            _ => (Kind::LiveCommand, "retrieve", "/", None),
        };
        // What the feed says is what the policy says, too.
        let audience = match (c.below(20), has_policy_of_parts(signal.thing)) {
            (0..2, _) => Audience::Nobody,
            // Only twin events of real feeds say it (policies.md §6).
            (2..11, true) if kind == Kind::TwinEvent => Audience::Parts,
            (_, true) => Audience::Policy,
            (2..10, false) => Audience::Reader,
            (10..15, false) => Audience::Policy,
            (15..17, false) => Audience::Auditor,
            (_, false) => Audience::NotAuditor,
        };
        let content_type = match (kind, action) {
            (_, "merged") => Some("application/merge-patch+json"),
            (_, "alarm") => Some("text/plain"),
            (_, "ask") => Some("application/json"),
            (_, "stop") => Some("none/none"),
            _ => None,
        };
        let path = path.to_owned();
        Self { signal, kind, action, path, value, content_type, order, is_off, has_key, is_traced, audience }
    }

    pub(super) fn is_event(&self) -> bool {
        matches!(self.kind, Kind::TwinEvent | Kind::LiveEvent)
    }

    pub(super) fn channel(&self) -> &'static str {
        if self.kind == Kind::TwinEvent { "twin" } else { "live" }
    }

    pub(super) fn criterion(&self) -> &'static str {
        match self.kind {
            Kind::TwinEvent | Kind::LiveEvent => "events",
            Kind::LiveMessage => "messages",
            Kind::LiveCommand => "commands",
        }
    }

    /// The topic behind namespace and name.
    pub(super) fn topic_tail(&self) -> String {
        format!("things/{}/{}/{}", self.channel(), self.criterion(), self.action)
    }

    pub(super) fn topic(&self) -> String {
        format!("org.campaign/thing-{}/{}", self.signal.thing, self.topic_tail())
    }

    pub(super) fn key(&self) -> String {
        format!("{}/κ#1", self.signal.thing_id())
    }

    /// The event's own time: of the form that Ditto writes.
    pub(super) fn timestamp(&self) -> String {
        let n = self.signal.revision;
        format!("2026-03-04T{:02}:{:02}:{:02}.{:03}Z", n / 3_600 % 24, n / 60 % 60, n % 60, n % 999 + 1)
    }

    /// The headers that anybody may see.
    pub(super) fn headers(&self) -> Map<String, Value> {
        let mut headers = Map::new();
        let mut put = |name: &str, value: Value| drop(headers.insert(name.to_owned(), value));
        put("correlation-id", self.signal.correlation_id().into());
        match self.kind {
            Kind::TwinEvent => put("requested-acks", json!([])),
            Kind::LiveEvent => {}
            // Nobody waits, so nothing expires.
            Kind::LiveMessage | Kind::LiveCommand => put("response-required", false.into()),
        }
        let texts = [
            ("content-type", self.content_type.map(str::to_owned)),
            ("campaign-do", self.order.map(str::to_owned)),
            ("campaign-script", self.is_off.then(|| "off".to_owned())),
            ("campaign-key", self.has_key.then(|| self.key())),
            ("campaign-trace", self.is_traced.then(|| format!("Spür {}", self.signal.revision))),
        ];
        for (name, text) in texts {
            text.into_iter().for_each(|text| put(name, text.into()));
        }
        headers
    }

    /// The record of the feed: who may read stands in the headers of the record, or in those of the message.
    pub(super) fn record(&self) -> Written {
        let read = |subject: &str| json!([subject]).to_string();
        let read_subjects = "ditto-read-subjects";
        let internal = match self.audience {
            Audience::Policy => vec![],
            Audience::Reader => vec![(read_subjects, read(READER))],
            Audience::Nobody => vec![(read_subjects, read("campaign:nobody"))],
            Audience::Auditor => vec![(read_subjects, read(AUDITOR))],
            Audience::NotAuditor => {
                vec![(read_subjects, read(READER)), ("ditto-read-revoked-subjects", read(AUDITOR))]
            }
            Audience::Parts => {
                let paths: Map<String, Value> =
                    PARTS.iter().map(|path| (path.trim_start_matches('/').to_owned(), json!([0]))).collect();
                let partial = json!({"subjects": [READER], "paths": paths}).to_string();
                vec![
                    (read_subjects, json!(["campaign:owner", READER]).to_string()),
                    ("ditto-partial-access-paths", partial),
                ]
            }
        };
        let mut headers = self.headers();
        let mut record = Written { key: Some(self.signal.thing_id().into_bytes()), ..Written::default() };
        for (name, text) in internal {
            if self.is_traced {
                record.headers.push((name.to_owned(), text.into_bytes()));
            } else {
                headers.insert(name.to_owned(), text.into());
            }
        }
        let mut message = format!(
            "{{\"topic\":{}, \"headers\":{}, \"path\":{}",
            json!(self.topic()),
            Value::Object(headers),
            json!(self.path)
        );
        if let Some(value) = &self.value {
            message += &format!(", \"value\":{}", value.written());
        }
        if self.is_event() {
            message +=
                &format!(", \"revision\":{}, \"timestamp\":\"{}\"", self.signal.revision, self.timestamp());
        }
        record.value = Some((message + "}").into_bytes());
        record
    }

    /// What somebody gets who is the reader, or the reader and the auditor (outbound.md §2, policies.md §5).
    pub(super) fn reach(&self, has_auditor: bool) -> Reach {
        let all_if = |may_read| if may_read { Reach::All } else { Reach::Nothing };
        match self.audience {
            Audience::Reader => Reach::All,
            Audience::Nobody => Reach::Nothing,
            Audience::Parts => Reach::Parts,
            Audience::Auditor => all_if(has_auditor),
            Audience::NotAuditor => all_if(!has_auditor),
            Audience::Policy if !has_policy_of_parts(self.signal.thing) => Reach::All,
            Audience::Policy => match self.kind {
                Kind::TwinEvent | Kind::LiveEvent => Reach::Parts,
                Kind::LiveMessage => all_if(covers("/inbox", &self.path)),
                Kind::LiveCommand => all_if(PARTS.iter().any(|part| covers(part, &self.path))),
            },
        }
    }
}

fn pick<T: Copy>(from: &[T], c: &mut Chance) -> Option<T> {
    from.get(c.below(from.len())).copied()
}

fn number(c: &mut Chance) -> Node {
    pick(&NUMBERS, c).map_or_else(Node::null, |(written, scripted)| Node::leaf(written, scripted))
}

fn text(c: &mut Chance) -> Node {
    pick(&TEXTS, c).map_or_else(Node::null, |(written, scripted)| Node::leaf(written, scripted))
}

fn truth(c: &mut Chance) -> Node {
    pick(&["true", "false"], c).map_or_else(Node::null, |truth| Node::leaf(truth, truth))
}

fn open(c: &mut Chance) -> Node {
    let list = Node::leaf("[ 1.0, \"\\u00fc\", {\"a\" :null} ]", "[1,\"ü\",{\"a\":null}]");
    Node::Object(vec![("level", number(c)), ("label", text(c)), ("list", list)])
}

fn attributes(c: &mut Chance) -> Node {
    let mut members = vec![("open", open(c)), ("secret", text(c)), ("名前", text(c))];
    // What the event says counts for more than what it is enriched with.
    if let Some(site) = pick(&["nörd", "söuth", ""], c).filter(|site| !site.is_empty()) {
        members.push(("site", Node::text(site)));
    }
    Node::Object(members)
}

fn thing(signal: Signal, c: &mut Chance) -> Node {
    let lamp = Node::Object(vec![("properties", Node::Object(vec![("on", truth(c))]))]);
    Node::Object(vec![
        ("thingId", Node::text(&signal.thing_id())),
        ("policyId", Node::text(policy_id(signal.thing))),
        ("attributes", attributes(c)),
        ("features", Node::Object(vec![("lamp", lamp), ("vault", Node::Object(vec![]))])),
    ])
}

fn patch(c: &mut Chance) -> Node {
    let open = if c.below(3) == 0 { Node::null() } else { open(c) };
    Node::Object(vec![
        ("attributes", Node::Object(vec![("secret", Node::null()), ("open", open)])),
        ("features", Node::Object(vec![("vault", Node::null())])),
    ])
}

/// From 20 to 60 KiB or so.
fn blob(c: &mut Chance) -> Node {
    Node::text(&"größe ☃ ".repeat(2_000 + c.below(3_500)))
}
