//! What a row of headers, outbound or acks defines and feeds, read without the code under test, and what we answer where we
//! answer otherwise than the reference.

mod signal;

use serde_json::{Map, Value, json};

use self::signal::{Signal, strings};
use super::defined::Topic;

/// A connection and what comes to it.
#[derive(Debug)]
pub(super) struct Published<'r> {
    given: &'r Value,
    signals: Vec<Signal<'r>>,
}

type Path = Vec<String>;

/// Members that a partial reader of a thing always gets.
const ALWAYS: [&str; 5] = ["thingId", "_namespace", "_revision", "_modified", "_created"];

impl<'r> Published<'r> {
    /// `None` for other rows.
    pub(super) fn of(row: &'r Value) -> Option<Self> {
        let given = row.get("given").filter(|it| it.get("connection").is_some())?;
        let signals = match given.get("signals").and_then(Value::as_array) {
            Some(signals) => signals.iter().collect(),
            None => vec![given.get("signal")?],
        };
        Some(Self { given, signals: signals.into_iter().map(Signal::of).collect() })
    }

    fn id(&self) -> &str {
        self.given["connection"]["id"].as_str().unwrap_or_default()
    }

    fn targets(&self) -> impl Iterator<Item = &'r Value> {
        self.given["connection"]["targets"].as_array().into_iter().flatten()
    }

    /// The label that a target issues.
    fn label(&self, target: &Value) -> Option<String> {
        target["issuedAcknowledgementLabel"].as_str().map(|label| self.resolved(label))
    }

    fn resolved(&self, label: &str) -> String {
        label.replace("{{connection:id}}", self.id()).replace("{{ connection:id }}", self.id())
    }

    /// Whether a signal answers a message of a source that nobody consumes here.
    fn is_reply(&self, signal: &Signal<'_>) -> bool {
        let sources = self.given["connection"]["sources"].as_array().map(Vec::as_slice).unwrap_or_default();
        let source = signal.internal["ditto-reply-target"].as_str().and_then(|it| it.parse::<usize>().ok());
        let is_reply = signal.ditto.get("status").is_some() || signal.topic.last() == Some(&"errors");
        is_reply && source.is_some_and(|source| source < sources.len())
    }

    /// Nothing is published to reply targets: what is answered came in where sources are consumed.
    pub(super) fn drop_replies(&self, expected: &mut Value) {
        if self.signals.iter().all(|signal| self.is_reply(signal)) {
            expected["records"] = json!([]);
        }
    }

    /// The reference issues labels, with its checks at creation switched off, that it refuses there: those without the prefix
    /// of the connection, and those that another target issues, too.
    pub(super) fn refuse_label(&self, expected: &mut Value) {
        let labels: Vec<_> = self.targets().filter_map(|target| self.label(target)).collect();
        let prefix = format!("{}:", self.id());
        let is_twice = |(n, label)| labels.iter().skip(n + 1).any(|it| it == label);
        if labels.iter().any(|label| label != "live-response" && !label.starts_with(&prefix)) {
            *expected = refusal("refused", "acknowledgement:label.invalid", 400);
        } else if labels.iter().enumerate().any(is_twice) {
            *expected = refusal("refused", "acknowledgement:label.not.unique", 409);
        }
    }

    /// An address without placeholders that ends in a negative number for a partition is refused if it is checked.
    pub(super) fn refuse_partition(&self, expected: &mut Value) {
        let is_refused = |target: &Value| {
            let address = target["address"].as_str().unwrap_or_default();
            !address.contains("{{") && negative_partition(address)
        };
        if self.given.get("validate").is_some() && self.targets().any(is_refused) {
            *expected = refusal("validationError", INVALID_CONFIGURATION, 400);
        }
    }

    /// The labels of targets whose address gives a negative partition, of which the reference only says that its client has
    /// refused the record.
    fn negative_labels(&self) -> Vec<String> {
        let is_negative = |target: &&Value| {
            let address = target["address"].as_str().unwrap_or_default();
            self.signals.iter().any(|signal| negative_partition(&signal.with_headers(address)))
        };
        self.targets().filter(is_negative).filter_map(|target| self.label(target)).collect()
    }

    /// A code, where the reference has only texts.
    pub(super) fn tell_partition(&self, expected: &mut Value) {
        let labels = self.negative_labels();
        for ack in acks(expected).filter(|ack| labels.iter().any(|label| ack["label"] == **label)) {
            if ack["status"] == 400 && ack["entity"].is_object() {
                ack["entity"]["error"] = INVALID_CONFIGURATION.into();
            }
        }
    }

    /// Whether a target is subscribed to a signal by topic and namespace, and may read it; no filter is looked at.
    fn selects(&self, target: &Value, signal: &Signal<'_>) -> bool {
        let kind = match signal.topic.as_slice() {
            [_, _, "things", "twin", "events", ..] => "_/_/things/twin/events",
            [_, _, "things", "live", "events", ..] => "_/_/things/live/events",
            [_, _, "things", "live", "messages", ..] => "_/_/things/live/messages",
            [_, _, "things", "live", "commands", ..] => "_/_/things/live/commands",
            [_, _, "policies", "announcements", ..] => "_/_/policies/announcements",
            [_, _, "connections", "announcements", ..] => "_/_/connections/announcements",
            _ => return false,
        };
        let is_subscribed = strings(&target["topics"]).into_iter().any(|text| {
            let topic = Topic::of(text);
            text.split('?').next() == Some(kind)
                && topic
                    .namespaces()
                    .is_none_or(|it| it.split(',').any(|own| signal.topic.first() == Some(&own)))
        });
        let context = strings(&target["authorizationContext"]);
        let meets = |name: &str| signal.subjects(name).iter().any(|it| context.contains(&it.as_str()));
        let may_read = kind.ends_with("/announcements")
            || meets("ditto-read-subjects") && !meets("ditto-read-revoked-subjects");
        is_subscribed && may_read && signal.internal["ditto-origin"] != *self.id()
    }

    /// The only signal, where somebody waits for acknowledgements.
    fn asked(&self) -> Option<&Signal<'r>> {
        let [signal] = self.signals.as_slice() else { return None };
        self.given["signal"].get("noAckregator").is_none().then_some(signal)
    }

    /// Targets that get a policy announcement from the reference and have none of the subjects that it names.
    fn not_named(&self) -> Vec<&'r Value> {
        let [signal] = self.signals.as_slice() else { return Vec::new() };
        let [_, _, "policies", "announcements", ..] = signal.topic.as_slice() else { return Vec::new() };
        let named = strings(&signal.ditto["value"]["subjectIds"]);
        let is_named =
            |target: &Value| strings(&target["authorizationContext"]).iter().any(|it| named.contains(it));
        self.targets().filter(|target| !is_named(target) && self.selects(target, signal)).collect()
    }

    /// They get nothing, and acknowledge weakly. Told apart by their topics.
    pub(super) fn tell_named_only(&self, expected: &mut Value) {
        let others = self.not_named();
        if others.is_empty() {
            return;
        }
        let topic = |target: &&Value| {
            let address = target["address"].as_str().unwrap_or_default();
            address.split(['/', '#']).next().unwrap_or_default().to_owned()
        };
        let topics: Vec<String> = others.iter().map(topic).collect();
        if let Some(records) = expected["records"].as_array_mut() {
            records.retain(|record| !topics.iter().any(|topic| record["topic"] == **topic));
        }
        let labels: Vec<String> = others.iter().filter_map(|target| self.label(target)).collect();
        weaken(expected, |ack| labels.iter().any(|label| ack["label"] == **label));
    }

    /// Targets whose address has no value for the signal, and that owe an acknowledgement that the reference never sends.
    fn unresolved(&self, expected: &Value) -> Vec<String> {
        let Some(signal) = self.asked() else { return Vec::new() };
        let requested = signal.requested();
        let owes = |target: &&Value| {
            self.selects(target, signal) && signal.lacks_value(target["address"].as_str().unwrap_or_default())
        };
        let labels = self.targets().filter(owes).filter_map(|target| self.label(target));
        let is_silent = |label: &String| {
            let mut told = expected.clone();
            requested.contains(&label.as_str()) && !acks(&mut told).any(|ack| ack["label"] == **label)
        };
        labels.filter(is_silent).collect()
    }

    /// The failure is told.
    pub(super) fn tell_unresolved(&self, expected: &mut Value) {
        let (labels, Some(signal)) = (self.unresolved(expected), self.asked()) else { return };
        if labels.is_empty() {
            return;
        }
        let mut told: Vec<Value> = labels
            .iter()
            .map(|label| failed(label, "placeholder:unresolved", signal.acknowledged(self.id()).into()))
            .collect();
        // Beside those of what was sent; in the order of the targets.
        let order: Vec<String> = self.targets().filter_map(|target| self.label(target)).collect();
        let is_sent =
            |group: &&mut Map<String, Value>| group.get("acks").is_some_and(|acks| acks[0]["weak"] != true);
        if let Some(group) = groups(expected).filter(is_sent).last() {
            if let Some(acks) = group.get_mut("acks").and_then(Value::as_array_mut) {
                acks.append(&mut told);
                acks.sort_by_key(|ack| order.iter().position(|label| ack["label"] == **label));
            }
            aggregate(group);
        } else if let Some(groups) = expected["acknowledgements"].as_array_mut() {
            let mut group = Map::new();
            group.insert("acks".to_owned(), told.into());
            aggregate(&mut group);
            groups.push(group.into());
        }
    }

    /// Of each target with scripts that throw: its label, and which of its mappers they are.
    fn thrown(&self, expected: &Value) -> Vec<(String, Vec<bool>)> {
        let Some(signal) = self.asked() else { return Vec::new() };
        let throws = |alias: &&str| {
            let script = &self.given["connection"]["mappingDefinitions"][*alias]["options"]["outgoingScript"];
            script.as_str().is_some_and(|script| script.contains("throw"))
        };
        let thrown = self.targets().filter(|target| self.selects(target, signal)).filter_map(|target| {
            let mappers: Vec<bool> = strings(&target["payloadMapping"]).iter().map(throws).collect();
            let label = self.label(target).filter(|label| signal.requested().contains(&label.as_str()))?;
            Some((label, mappers))
        });
        let is_missing = |(label, mappers): &(String, Vec<bool>)| {
            let mut told = expected.clone();
            let sent = acks(&mut told).filter(|ack| ack["label"] == **label && ack["weak"] == false).count();
            mappers.contains(&true) && sent <= mappers.iter().filter(|throws| !**throws).count()
        };
        thrown.filter(is_missing).collect()
    }

    /// Each mapper that fails is told, in the place that its message would have had.
    pub(super) fn tell_thrown(&self, expected: &mut Value) {
        let (thrown, Some(signal)) = (self.thrown(expected), self.asked()) else { return };
        if thrown.is_empty() {
            return;
        }
        for (label, mappers) in thrown {
            for group in groups(expected) {
                let Some(acks) = group.get_mut("acks").and_then(Value::as_array_mut) else { continue };
                let Some(at) = acks.iter().position(|ack| ack["label"] == *label) else { continue };
                acks.retain(|ack| ack["label"] != *label || ack["weak"] == false);
                for (n, _) in mappers.iter().enumerate().filter(|(_, throws)| **throws) {
                    let headers = signal.acknowledged(self.id()).into();
                    let ack = failed(&label, "connectivity:message.mapping.failed", headers);
                    acks.insert((at + n).min(acks.len()), ack);
                }
                aggregate(group);
            }
        }
    }

    /// Writes paths as they were said, where the reference has escaped their tildes.
    pub(super) fn keep_tildes(&self, expected: &mut Value) {
        for signal in self.signals.iter().filter(|signal| signal.path().contains('~')) {
            let said = signal.path();
            replace_texts(&mut expected["records"], &said.replace('~', "~0"), said);
        }
    }

    /// What the only target may read of the value of the only signal, by the paths that came with it, and what the reference
    /// leaves of it (policies.md §6); `None` if it reads all of it or nothing at all.
    fn cut(&self) -> Option<(Option<Value>, Option<Value>)> {
        let [signal] = self.signals.as_slice() else { return None };
        let mut targets = self.targets();
        let (Some(target), None) = (targets.next(), targets.next()) else { return None };
        if !self.selects(target, signal) || signal.topic.get(4) != Some(&"events") {
            return None;
        }
        let header: Value =
            serde_json::from_str(signal.internal["ditto-partial-access-paths"].as_str()?).ok()?;
        let listed = strings(&header["subjects"]);
        let readers = signal.subjects("ditto-read-subjects");
        let context = strings(&target["authorizationContext"]).into_iter();
        let readers = context
            .filter(|subject| readers.iter().any(|reader| reader == subject))
            .map(|subject| listed.iter().position(|it| *it == subject))
            .collect::<Option<Vec<_>>>()?;
        let may_read = |indices: &Value| {
            let mut indices = indices.as_array().into_iter().flatten().filter_map(Value::as_u64);
            indices.any(|n| readers.iter().any(|reader| *reader as u64 == n))
        };
        let paths = header["paths"].as_object()?.iter().filter(|(_, indices)| may_read(indices));
        let granted: Vec<Path> = paths.map(|(path, _)| segments(path)).collect();
        let keeps = |leaf: &Path| {
            granted.iter().any(|path| leaf.starts_with(path))
                || matches!(leaf.as_slice(), [name, ..] if ALWAYS.contains(&name.as_str()))
        };
        let (path, value) = (segments(signal.path()), signal.ditto.get("value")?);
        let theirs = match value {
            // It holds absolute paths against members of the value.
            Value::Object(members) if !members.is_empty() => kept(&Vec::new(), value, &keeps),
            other => granted.iter().any(|it| path.starts_with(it)).then(|| other.clone()),
        };
        Some((kept(&path, value, &keeps), theirs))
    }

    /// Puts what may be read, where the reference publishes something; if that is nothing, nothing is published.
    pub(super) fn put_cut(&self, expected: &mut Value) {
        let cut = self.cut().filter(|(ours, theirs)| theirs.is_some() && ours != theirs);
        match cut {
            Some((Some(ours), _)) => {
                for record in expected["records"].as_array_mut().into_iter().flatten() {
                    if record["valueJson"].get("value").is_some() {
                        record["valueJson"]["value"] = ours.clone();
                    }
                }
            }
            Some((None, _)) => {
                expected["records"] = json!([]);
                weaken(expected, |ack| ack["weak"] == false);
            }
            None => {}
        }
    }
}

const INVALID_CONFIGURATION: &str = "connectivity:connection.configuration.invalid";

fn refusal(how: &str, code: &str, status: u16) -> Value {
    json!({ how: { "error": code, "status": status, "message": "<text>", "description": "<text>" } })
}

fn failed(label: &str, error: &str, headers: Value) -> Value {
    let entity = json!({ "error": error, "message": "<text>", "description": "<text>" });
    json!({ "label": label, "status": 400, "weak": false, "entity": entity, "headers": headers })
}

/// Makes some acknowledgements those of targets that publish nothing: they come before the others, apart.
fn weaken(expected: &mut Value, is_weak: impl Fn(&Value) -> bool) {
    let mut weak = Vec::new();
    for group in groups(expected) {
        let Some(acks) = group.get_mut("acks").and_then(Value::as_array_mut) else { continue };
        let taken: Vec<Value> = acks.extract_if(.., |ack| is_weak(ack)).collect();
        if !taken.is_empty() {
            aggregate(group);
            weak.extend(taken);
        }
    }
    for ack in weak.iter_mut().filter(|ack| ack.is_object()) {
        ack["weak"] = true.into();
        ack["status"] = 200.into();
        ack["entity"] = "<text>".into();
        if let Some(headers) = ack["headers"].as_object_mut() {
            headers.shift_remove("ditto-connection-id");
            headers.insert("ditto-weak-ack".to_owned(), "true".into());
        }
    }
    if let Some(groups) = expected["acknowledgements"].as_array_mut().filter(|_| !weak.is_empty()) {
        groups.retain(|group| group["acks"] != json!([]));
        groups.insert(0, json!({ "status": 200, "acks": weak }));
    }
}

/// The groups of acknowledgements of an expectation.
fn groups(expected: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let groups = expected.get_mut("acknowledgements").and_then(Value::as_array_mut).into_iter().flatten();
    groups.filter_map(Value::as_object_mut)
}

/// All single acknowledgements of an expectation.
fn acks(expected: &mut Value) -> impl Iterator<Item = &mut Value> {
    let acks = groups(expected).filter_map(|group| group.get_mut("acks")?.as_array_mut());
    acks.flatten().filter(|ack| ack.is_object())
}

/// Says again how all of a group have ended.
fn aggregate(group: &mut Map<String, Value>) {
    let acks = group.get("acks").and_then(Value::as_array).into_iter().flatten();
    let statuses: Vec<u64> = acks.filter_map(|ack| ack["status"].as_u64()).collect();
    let status = match statuses.as_slice() {
        [one] => *one,
        several if several.iter().all(|status| *status < 400) => 200,
        _ => 424,
    };
    group.insert("status".to_owned(), status.into());
}

/// Whether a resolved address ends in a negative number for a partition.
fn negative_partition(address: &str) -> bool {
    let partition = address.split_once('#').filter(|(topic, _)| !topic.is_empty() && !topic.contains('/'));
    partition.is_some_and(|(_, number)| number.parse::<i32>().is_ok_and(|number| number < 0))
}

fn segments(path: &str) -> Path {
    path.split('/').filter(|it| !it.is_empty()).map(|it| it.replace("~1", "/").replace("~0", "~")).collect()
}

/// What stands at `base` with some of its leaves only; parents without any vanish.
fn kept(base: &Path, value: &Value, keeps: &dyn Fn(&Path) -> bool) -> Option<Value> {
    let below = |name: &String| base.iter().chain([name]).cloned().collect();
    match value.as_object().filter(|members| !members.is_empty()) {
        None => keeps(base).then(|| value.clone()),
        Some(members) => {
            let left = members
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), kept(&below(name), value, keeps)?)));
            let left: Map<_, _> = left.collect();
            (!left.is_empty()).then_some(Value::Object(left))
        }
    }
}

/// Replaces texts that are exactly `theirs`, wherever they are.
fn replace_texts(value: &mut Value, theirs: &str, ours: &str) {
    match value {
        Value::String(text) if text == theirs => *text = ours.to_owned(),
        Value::Object(members) => members.values_mut().for_each(|value| replace_texts(value, theirs, ours)),
        Value::Array(elements) => elements.iter_mut().for_each(|value| replace_texts(value, theirs, ours)),
        _ => {}
    }
}
