//! The classes of rows that try, open and watch connections. What each of them changes is nothing where its predicate does not
//! hold.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Class;
use super::exchanged::{error, misconfigured};

const FILES: &[&str] = &["http", "piggyback"];

macro_rules! class {
    ($id:literal, $change:ident) => {
        Class {
            id: $id,
            files: FILES,
            applies: |said, expected| {
                let mut ours = expected.clone();
                walk(said.steps(), &mut ours, $change);
                ours != *expected
            },
            change: |said, expected| walk(said.steps(), expected, $change),
        }
    };
}

/// In the order in which they are applied: a row may be of several.
pub(super) const CLASSES: [Class; 6] = [
    class!("a-wrong-password-is-told", tell_of_login),
    class!("a-dry-run-logs-in", log_in),
    class!("a-quote-is-a-character", take_quote),
    class!("a-retry-is-answered", answer_retry),
    class!("opening-takes-no-pause", answer_soon),
    class!("sources-are-not-consumed", consume_nothing),
];

/// Where the brokers of the rows are: one that lets everybody in, and one that asks for a login, and for which.
const PLAIN: &str = "127.0.0.1:29092";
const SASL: &str = "127.0.0.1:29093";
const LOGIN: &str = "user:password";
/// What the reference takes to open a connection, at least.
const PAUSE_SECONDS: f64 = 3.0;
const NO_ENTRY: &str = "<not-provided>";

/// What a step asks for.
enum Asked<'s> {
    /// The connection of this name is to be as defined.
    Define(String, &'s Value),
    /// A connection is only tried.
    Try(&'s Value),
    /// Something of the connection of this name.
    Command(String, &'s str),
}

/// The connections of a row, by the names that its steps have for them.
type Connections<'s> = BTreeMap<String, Known<'s>>;

/// What the steps before have made of a connection.
struct Known<'s> {
    definition: &'s Value,
    is_open: bool,
    /// The addresses of sources of which its log says that nobody consumes them.
    told: Vec<&'s str>,
}

/// What a class makes of the expectation of a step.
type Change = fn(&Connections<'_>, &Asked<'_>, &Value, &mut Value);

/// Has each step that is about connections changed, with what those before it have made of them.
fn walk(steps: &[Value], expected: &mut Value, change: Change) {
    let mut known = Connections::new();
    for (n, step) in steps.iter().enumerate() {
        let Some(asked) = Asked::of(step) else { continue };
        change(&known, &asked, step, &mut expected["steps"][n]);
        asked.apply(step, &mut known);
    }
}

impl<'s> Asked<'s> {
    fn of(step: &'s Value) -> Option<Self> {
        let (path, query) = step["path"].as_str().map(|path| path.split_once('?').unwrap_or((path, "")))?;
        if path.starts_with("/devops/piggyback") {
            let command = &step["body"]["piggybackCommand"];
            let name = command["type"].as_str()?.strip_prefix("connectivity.commands:")?;
            let text = |value: &Value| value.as_str().map(str::to_owned);
            return Some(match name {
                "testConnection" => Self::Try(&command["connection"]),
                "createConnection" | "modifyConnection" => {
                    Self::Define(text(&command["connection"]["id"])?, &command["connection"])
                }
                _ => Self::Command(text(&command["connectionId"])?, name),
            });
        }
        let segments: Vec<&str> = path.strip_prefix("/api/2/connections")?.split('/').skip(1).collect();
        Some(match (step["method"].as_str()?, segments.as_slice()) {
            ("POST", []) if query.contains("dry-run=true") => Self::Try(&step["body"]),
            ("POST", []) => {
                let (name, _) = step["save"].as_object()?.iter().find(|(_, place)| **place == "/id")?;
                Self::Define(format!("${{{name}}}"), &step["body"])
            }
            ("PUT", [id]) => Self::Define((*id).to_owned(), &step["body"]),
            ("DELETE", [id]) => Self::Command((*id).to_owned(), "deleteConnection"),
            ("POST", [id, "command"]) => {
                let name = step["raw_body"].as_str()?.strip_prefix("connectivity.commands:")?;
                Self::Command((*id).to_owned(), name)
            }
            ("GET", [id, "status"]) => Self::Command((*id).to_owned(), "retrieveConnectionStatus"),
            ("GET", [id, "metrics"]) => Self::Command((*id).to_owned(), "retrieveConnectionMetrics"),
            ("GET", [id, "logs"]) => Self::Command((*id).to_owned(), "retrieveConnectionLogs"),
            _ => return None,
        })
    }

    /// What the step leaves behind. The reference says so, but for openings: they happen, however they are answered.
    fn apply(self, step: &Value, known: &mut Connections<'s>) {
        let is_done = is_done(&step["expect"]);
        match self {
            Self::Define(id, definition) if is_done || is_late(&step["expect"]) => {
                let is_open = definition["connectionStatus"] == "open";
                let before = known.remove(&id);
                let is_same = before.as_ref().is_some_and(|it| it.is_open && it.definition == definition);
                let mut told = before.map(|it| it.told).unwrap_or_default();
                if is_open && !is_same {
                    told.extend(consumed(definition));
                }
                known.insert(id, Known { definition, is_open, told });
            }
            Self::Command(id, "deleteConnection") if is_done => drop(known.remove(&id)),
            Self::Command(id, name) => {
                let Some(it) = known.get_mut(&id) else { return };
                match name {
                    "openConnection" if !it.is_open => {
                        it.is_open = true;
                        it.told.extend(consumed(it.definition));
                    }
                    "closeConnection" if is_done => it.is_open = false,
                    "resetConnectionLogs" if is_done => it.told.clear(),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// What is to be connected by this step, before it is answered.
    fn connects<'k>(&'k self, known: &'k Connections<'_>) -> Option<&'k Value> {
        match self {
            Self::Try(definition) => Some(definition),
            Self::Command(id, "openConnection") => known.get(id).map(|it| it.definition),
            // What is new is answered before.
            Self::Define(id, definition) if definition["connectionStatus"] == "open" => {
                known.get(id).map(|_| *definition)
            }
            _ => None,
        }
    }

    /// The connection of which the step asks this.
    fn asks<'k, 'd>(&self, name: &str, known: &'k Connections<'d>) -> Option<&'k Known<'d>> {
        match self {
            Self::Command(id, asked) if *asked == name => known.get(id),
            _ => None,
        }
    }
}

/// A connection that can never log in is none that works, whatever it has. The reference says so only if there are sources.
fn tell_of_login(known: &Connections<'_>, asked: &Asked<'_>, step: &Value, expected: &mut Value) {
    let is_wrong = |definition: &Value| consumed(definition).is_empty() && !can_log_in(definition);
    let watched = asked.asks("retrieveConnectionStatus", known).filter(|it| it.is_open);
    if watched.is_some_and(|it| is_wrong(it.definition)) {
        misconfigured(response(expected));
    } else if !matches!(asked, Asked::Try(_))
        && is_done(expected)
        && asked.connects(known).is_some_and(is_wrong)
    {
        fail(step, expected, None);
    }
}

/// The reference only looks whether the host of the uri takes connections.
fn log_in(known: &Connections<'_>, asked: &Asked<'_>, step: &Value, expected: &mut Value) {
    let is_refused =
        matches!(asked, Asked::Try(_)) && asked.connects(known).is_some_and(|it| !can_log_in(it));
    if is_refused && is_done(expected) {
        fail(step, expected, None);
    }
}

/// The reference cannot write a password with a quote down for its client, and says that the connection failed. Ours tries
/// to log in with it.
fn take_quote(known: &Connections<'_>, asked: &Asked<'_>, _: &Value, expected: &mut Value) {
    let watched = asked.asks("retrieveConnectionStatus", known).filter(|it| it.is_open);
    let status = response(expected);
    if watched.is_some_and(|it| has_quote(it.definition)) && status["liveStatus"] == "failed" {
        misconfigured(status);
    }
}

/// A connection that is being tried again is opened once more: the reference is silent, we say what is wrong now.
fn answer_retry(known: &Connections<'_>, asked: &Asked<'_>, step: &Value, expected: &mut Value) {
    let is_retried = |it: &&Known<'_>| it.is_open && !(is_there(it.definition) && can_log_in(it.definition));
    let retried = asked.asks("openConnection", known).filter(is_retried);
    if let Some(retried) = retried.filter(|_| is_late(expected)) {
        fail(step, expected, Some(address(retried.definition)));
    }
}

/// The reference pauses while it opens a connection, so that short time-outs are over before it answers.
fn answer_soon(known: &Connections<'_>, asked: &Asked<'_>, step: &Value, expected: &mut Value) {
    let Asked::Command(id, "openConnection") = asked else { return };
    let works = |it: &Known<'_>| !it.is_open && is_there(it.definition) && can_log_in(it.definition);
    let is_short = timeout(step).is_some_and(|seconds| seconds < PAUSE_SECONDS);
    if !is_short || !is_late(expected) || !known.get(id).is_some_and(works) {
        return;
    }
    if is_piggyback(step) {
        let done =
            json!({ "type": "connectivity.responses:openConnection", "status": 200, "connectionId": id });
        answer(step, expected, done);
    } else {
        expected["status"] = 200.into();
        expected["content_type"] = Value::Null;
        expected["body"] = Value::Null;
    }
}

/// Nothing comes from sources: they are closed and count nothing, and the log says so from each opening on.
fn consume_nothing(known: &Connections<'_>, asked: &Asked<'_>, _: &Value, expected: &mut Value) {
    let body = response(expected);
    if asked.asks("retrieveConnectionStatus", known).is_some() {
        let sources = body.get_mut("sourceStatus").and_then(Value::as_array_mut);
        for source in sources.into_iter().flatten().filter_map(Value::as_object_mut) {
            source.shift_remove("inStateSince");
            source.insert("status".to_owned(), "closed".into());
        }
    } else if asked.asks("retrieveConnectionMetrics", known).is_some() {
        count_nothing(body);
    } else if let Some(known) = asked.asks("retrieveConnectionLogs", known)
        && let Some(entries) = body["connectionLogs"].as_array_mut()
    {
        entries.retain(|entry| entry["category"] != "source" && entry["category"] != "response");
        let told = known.told.iter().map(|address| {
            json!({ "correlationId": NO_ENTRY, "timestamp": "<timestamp>", "category": "source", "type": "other",
                "level": "failure", "message": "<text>", "address": address })
        });
        // Nothing is written before a connection is opened.
        entries.splice(0..0, told.collect::<Vec<_>>());
    }
}

/// Without what came from sources, and without what was answered to it.
fn count_nothing(metrics: &mut Value) {
    let targets = &mut metrics["targetMetrics"]["addressMetrics"];
    if targets.is_null() || metrics["sourceMetrics"]["addressMetrics"].is_null() {
        return;
    }
    clear(&mut metrics["targetMetrics"]["addressMetrics"]["_responses"]);
    let of_targets: Vec<Value> = metrics["targetMetrics"]["addressMetrics"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(_, it)| it.clone())
        .collect();
    let mut has_failed = false;
    for (step, levels) in metrics["connectionMetrics"]["outbound"].as_object_mut().into_iter().flatten() {
        for (level, counter) in levels.as_object_mut().into_iter().flatten() {
            let of_level: Vec<&Value> = of_targets.iter().map(|target| &target[step][level]).collect();
            for (name, value) in counter.as_object_mut().into_iter().flatten() {
                let last = of_level.iter().map(|it| &it[name]).find(|it| !it.is_null());
                let sum: u64 = of_level.iter().filter_map(|it| it[name].as_u64()).sum();
                *value = if name == "lastMessageAt" { last.cloned().unwrap_or_default() } else { sum.into() };
                has_failed |= level == "failure" && sum > 0;
            }
        }
    }
    metrics["containsFailures"] = has_failed.into();
    clear(&mut metrics["connectionMetrics"]["inbound"]);
    for (_, source) in metrics["sourceMetrics"]["addressMetrics"].as_object_mut().into_iter().flatten() {
        clear(source);
    }
}

/// Sets counters to nought.
fn clear(counters: &mut Value) {
    for (name, value) in counters.as_object_mut().into_iter().flatten() {
        match value {
            Value::Object(_) => clear(value),
            _ if name == "lastMessageAt" => *value = Value::Null,
            _ => *value = 0.into(),
        }
    }
}

/// The addresses of sources that somebody is to consume, each once.
fn consumed(definition: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    for source in definition["sources"].as_array().into_iter().flatten() {
        let count = source["consumerCount"].as_i64().unwrap_or(1);
        let addresses = source["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for address in addresses.filter(|_| count > 0) {
            if !found.contains(&address) {
                found.push(address);
            }
        }
    }
    found
}

/// What the uri of a definition has after its scheme: user and password as they are written, and the rest.
fn authority(definition: &Value) -> (Option<&str>, &str) {
    let uri = definition["uri"].as_str().unwrap_or_default();
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest))
}

fn login(definition: &Value) -> Option<&str> {
    authority(definition).0
}

fn address(definition: &Value) -> &str {
    let rest = authority(definition).1;
    rest.split_once('/').map_or(rest, |(address, _)| address)
}

/// Whether it leads to a broker of the rows.
fn is_there(definition: &Value) -> bool {
    [PLAIN, SASL].contains(&address(definition))
}

/// Whether the broker lets it in, if there is one.
fn can_log_in(definition: &Value) -> bool {
    match address(definition) {
        PLAIN => login(definition).is_none(),
        SASL => login(definition) == Some(LOGIN),
        _ => true,
    }
}

fn has_quote(definition: &Value) -> bool {
    login(definition).is_some_and(|login| login.contains("%22"))
}

fn is_piggyback(step: &Value) -> bool {
    step["path"].as_str().is_some_and(|path| path.starts_with("/devops/"))
}

/// How long the step waits for its answer, in seconds.
fn timeout(step: &Value) -> Option<f64> {
    let of_query = || {
        let (_, query) = step["path"].as_str()?.split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix("timeout="))
    };
    let text = step["body"]["headers"]["timeout"].as_str().or_else(of_query)?;
    text.strip_suffix("ms").map_or_else(
        || text.strip_suffix('s').unwrap_or(text).parse().ok(),
        |ms| ms.parse::<f64>().ok().map(|ms| ms / 1_000.0),
    )
}

/// What answers the command: the body, or what it names the instance for.
fn response(expected: &mut Value) -> &mut Value {
    let body = &mut expected["body"];
    if body["connectivity"].get("<instance>").is_some() {
        return &mut body["connectivity"]["<instance>"];
    }
    body
}

fn inner(expected: &Value) -> &Value {
    let body = &expected["body"];
    body.pointer("/connectivity/<instance>").unwrap_or(body)
}

/// Whether the reference did what it was asked.
fn is_done(expected: &Value) -> bool {
    let of_body = inner(expected).get("status").and_then(Value::as_u64).unwrap_or(200);
    expected["status"].as_u64().is_some_and(|status| status < 300) && of_body < 300
}

/// Whether the reference gave no answer in time, or one that says that it has not connected.
fn is_late(expected: &Value) -> bool {
    let code = |body: &Value| body["error"].as_str().map(str::to_owned);
    let inner = inner(expected);
    let code = code(inner).or_else(|| code(&inner["payload"]));
    expected["status"] == 408
        || code.is_some_and(|code| {
            ["command.timeout", "ask.error", "connectivity:connection.failed"].contains(&&*code)
        })
}

/// The connection has not connected; why, if the answer has to say so.
fn fail(step: &Value, expected: &mut Value, mentions: Option<&str>) {
    let failed = error(504, "connectivity:connection.failed");
    if is_piggyback(step) {
        answer(step, expected, failed);
    } else {
        expected["status"] = 504.into();
        expected["content_type"] = "application/json".into();
        expected["body"] = failed;
    }
    if let (Some(text), Some(members)) = (mentions, expected.as_object_mut()) {
        members.insert("mentions".to_owned(), json!([text]));
    }
}

/// The answer of a DevOps command, in the form that it asks for.
fn answer(step: &Value, expected: &mut Value, response: Value) {
    let aggregate = &step["body"]["headers"]["aggregate"];
    let is_nested = aggregate.is_null() || *aggregate == true || *aggregate == "true";
    let nested = |response| Map::from_iter([("<instance>".to_owned(), response)]);
    expected["status"] = 200.into();
    expected["content_type"] = "application/json".into();
    expected["body"] = if is_nested { json!({ "connectivity": nested(response) }) } else { response };
}
