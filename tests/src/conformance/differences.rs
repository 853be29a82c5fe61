//! Where we answer otherwise than the reference, on purpose: tests/vectors/differences.toml and the code of its classes.

mod asked;
mod exchanged;
mod mapped;
mod opened;
mod published;
mod readable;
mod said;
mod scripted;

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use self::asked::Asked;
pub(super) use self::exchanged::many;
use self::said::Said;

/// The classes of differences.
#[derive(Debug)]
pub struct Differences {
    classes: Vec<Class>,
}

/// A class: a predicate on the input, so that it also names rows that nobody has seen yet, and what we answer instead,
/// computed from the row and not by the code under test.
#[derive(Debug, Clone, Copy)]
struct Class {
    id: &'static str,
    files: &'static [&'static str],
    /// The answer of the reference only tells whether it could read and write the message.
    applies: fn(&Said, &Value) -> bool,
    /// Turns the answer of the reference into ours.
    change: fn(&Said, &mut Value),
}

/// In the order in which they are applied: a row may be of several.
const CLASSES: [Class; 26] = [
    Class {
        id: "live-acknowledgement-stays-live",
        files: &["protocol"],
        applies: |said, expected| {
            matches!(said.topic().as_slice(), [_, _, "things", "live", "acks", ..])
                // The reference follows the header.
                && said.header("channel") != Some("live")
                && error_code(expected).is_none()
        },
        change: |said, expected| {
            replace(expected, &["/channelHeader"], &said.header("channel").into(), "live".into());
            if let Some(topic) = expected.pointer("/roundtrip/topic").and_then(Value::as_str) {
                let live = |(n, own)| if (n, own) == (3, "twin") { "live" } else { own };
                let topic: Vec<_> = topic.split('/').enumerate().map(live).collect();
                expected["roundtrip"]["topic"] = topic.join("/").into();
            }
        },
    },
    Class {
        id: "policy-resource-keeps-its-type",
        files: &["protocol"],
        applies: |said, expected| without_type(said).is_some() && error_code(expected).is_none(),
        change: |said, expected| {
            let theirs = without_type(said).unwrap_or_default().replace('~', "~0");
            replace(
                expected,
                &["/resourcePath", "/roundtrip/path"],
                &theirs.into(),
                said.canonical_path().into(),
            );
        },
    },
    Class {
        id: "tilde-is-not-escaped-again",
        files: &["protocol"],
        applies: |said, expected| {
            said.canonical_path().contains('~')
                && match error_code(expected) {
                    None => true,
                    // It compares the subject of the topic with the escaped one of the path.
                    Some("protocoladapter:invalid.path") => said.live_message().is_some(),
                    Some(_) => false,
                }
        },
        change: |said, expected| {
            if let [_, _, "things", "live", "messages", ..] = said.topic().as_slice() {
                match said.live_message() {
                    Some(answer) if error_code(expected).is_some() => *expected = answer,
                    Some(_) => {}
                    None => {
                        *expected =
                            json!({ "error": { "code": "protocoladapter:invalid.path", "status": 400 } });
                    }
                }
            }
            let ours = said.canonical_path();
            let theirs = ours.replace('~', "~0").into();
            replace(expected, &["/path", "/resourcePath", "/roundtrip/path"], &theirs, ours.into());
        },
    },
    Class {
        id: "what-is-read-can-be-written",
        files: &["protocol"],
        applies: |said, expected| {
            let is_unwritten = match said.topic().as_slice() {
                [_, _, "policies", "streaming", action, ..] => {
                    said.is_live() || ["subscribeForPersistedEvents", "cancel", "request"].contains(action)
                }
                [_, _, "policies" | "connections", ..]
                | [_, _, "things", _, "search" | "streaming", ..]
                | [_, _, "things", _, "commands", "migrate", ..] => said.is_live(),
                _ => false,
            };
            is_unwritten && expected.get("roundtripError").is_some()
        },
        change: |said, expected| {
            let written = said.written(expected);
            if let Value::Object(members) = expected {
                members.shift_remove("roundtripError");
                members.insert("roundtrip".to_owned(), written);
            }
        },
    },
    Class {
        id: "enrichment-decides",
        files: &["rql"],
        applies: |said, _| said.asked().is_some_and(|it| it.is_brought() && !it.is_seen_to_be_brought()),
        change: |_, expected| {
            expected["candidate"] = true.into();
            if let Some(then) = expected.get("matchIgnoringCandidate").cloned() {
                expected["match"] = then;
            }
        },
    },
    Class {
        id: "definition-events-are-filtered",
        files: &["rql"],
        applies: |said, _| said.definition_matches() == Some(true),
        change: |_, expected| expected["candidate"] = true.into(),
    },
    Class {
        id: "in-takes-null",
        files: &["rql"],
        applies: |said, expected| {
            error_code(expected) == Some("java:NullPointerException")
                && said.asked().is_some_and(Asked::ends_with_null)
        },
        // It has compared everything before the null in vain.
        change: |_, expected| *expected = json!({ "match": false }),
    },
    Class {
        id: "expired-subjects-have-no-effect",
        files: &["policies"],
        applies: |said, expected| {
            error_code(expected).is_none() && said.readable().is_some_and(|it| it.has_expired())
        },
        change: |said, expected| {
            if let Some(readable) = said.readable() {
                readable.decide(expected);
            }
        },
    },
    Class {
        id: "readers-get-what-they-may-read",
        files: &["policies"],
        applies: |said, _| {
            said.readable().is_some_and(|it| it.value().is_some_and(|ours| ours != it.of_reference().0))
        },
        change: |said, expected| {
            if let Some(value) = said.readable().and_then(|it| it.value()) {
                put(expected, "payloadValue", value);
            }
        },
    },
    Class {
        id: "extra-is-always-cut",
        files: &["policies"],
        applies: |said, _| {
            said.readable().is_some_and(|it| it.extra().is_some() && it.extra() != it.of_reference().1)
        },
        change: |said, expected| put(expected, "payloadExtra", said.readable().and_then(|it| it.extra())),
    },
    Class {
        id: "negative-partition-is-refused",
        files: &["placeholders"],
        applies: |said, _| said.has_negative_partition(),
        change: |_, expected| {
            *expected = json!({ "error": { "code": INVALID_CONFIGURATION, "status": 400 } })
        },
    },
    Class {
        id: "negative-partition-gives-no-record",
        files: &["kafka-addresses"],
        applies: |said, _| said.has_negative_partition(),
        change: |said, expected| {
            let resolved = expected["run_time"]["resolved"].take();
            expected["run_time"] =
                json!({ "outcome": "error", "resolved": resolved, "error": INVALID_CONFIGURATION });
            if !said.has_placeholder() {
                expected["config_time"] =
                    json!({ "ok": false, "http_status": 400, "error": INVALID_CONFIGURATION });
            }
        },
    },
    Class {
        id: "half-credentials-are-refused",
        files: &["connections"],
        applies: |said, expected| {
            expected["ok"] == true && said.defined().is_some_and(|it| it.has_half_credentials())
        },
        change: |said, expected| {
            put_answer(expected, said.defined().map(|it| it.refused(INVALID_URI, true)));
        },
    },
    Class {
        id: "port-above-65535-is-refused",
        files: &["connections"],
        applies: |said, expected| {
            expected["ok"] == true && said.defined().is_some_and(|it| it.has_port_above())
        },
        change: |said, expected| {
            put_answer(expected, said.defined().map(|it| it.refused(INVALID_URI, true)));
        },
    },
    Class {
        id: "brokers-are-what-is-meant",
        files: &["connections"],
        applies: |said, expected| match said.defined().and_then(|it| it.brokers()) {
            Some((false, true)) => expected["error"] == INVALID_CONFIGURATION,
            Some((true, false)) => expected["ok"] == true,
            _ => false,
        },
        change: |said, expected| {
            let answer = said.defined().map(|it| match it.brokers() {
                Some((false, true)) => it.accepted(),
                _ => it.refused(INVALID_CONFIGURATION, false),
            });
            put_answer(expected, answer);
        },
    },
    Class {
        id: "topics-read-back",
        files: &["connections"],
        applies: |said, expected| {
            (expected["ok"] == true || expected["error"] == "rql.expression.invalid")
                && said.defined().is_some_and(|it| it.has_topic_to_encode())
        },
        change: |said, expected| put_answer(expected, said.defined().map(|it| it.accepted())),
    },
    Class {
        id: "mapped-tilde-is-not-escaped-again",
        files: &["mapping", "mapping-other"],
        applies: |said, _| said.mapped().is_some_and(|it| it.has_tilde()),
        change: |said, expected| {
            if let Some(mapped) = said.mapped() {
                mapped.keep_tildes(expected);
            }
        },
    },
    Class {
        id: "scripts-may-say-more",
        files: &["mapping-js"],
        applies: |said, expected| {
            let is_refused = expected.get("configError").is_some()
                || expected["results"][0]["outcomes"][0]["outcome"] == "error";
            is_refused && said.scripted().is_some_and(|it| it.is_newer() || it.is_deep())
        },
        change: |said, expected| {
            if let Some(answer) = said.scripted().and_then(|it| it.answer()) {
                *expected = answer;
            }
        },
    },
    Class {
        id: "header-values-are-no-json",
        files: &["mapping-other"],
        applies: |said, _| said.mapped().is_some_and(|it| it.has_injection()),
        change: |said, expected| {
            if let Some(mapped) = said.mapped() {
                mapped.take_as_text(expected);
            }
        },
    },
    Class {
        id: "command-headers-are-of-their-message",
        files: &["mapping-other"],
        applies: |said, _| said.mapped().is_some_and(|it| it.has_memory()),
        change: |said, expected| {
            if let Some(mapped) = said.mapped() {
                mapped.forget(expected);
            }
        },
    },
    Class {
        id: "what-lasts-does-not-end-in-the-past",
        files: &["mapping-other"],
        applies: |said, _| said.mapped().is_some_and(|it| it.has_endless()),
        change: |said, expected| {
            if let Some(mapped) = said.mapped() {
                mapped.end_never(expected);
            }
        },
    },
    Class {
        id: "unanswered-changes-are-accepted",
        files: &["http"],
        applies: |said, _| said.exchanged().is_some_and(|it| !it.unanswered().is_empty()),
        change: |said, expected| {
            let steps = said.exchanged().map(|it| it.unanswered()).unwrap_or_default();
            steps.into_iter().for_each(|step| exchanged::put(expected, step, 202, Value::Null));
        },
    },
    Class {
        id: "lists-have-no-end",
        files: &["http"],
        applies: |said, _| said.exchanged().is_some_and(|it| !it.long_lists().is_empty()),
        change: |said, expected| {
            let lists = said.exchanged().map(|it| it.long_lists()).unwrap_or_default();
            lists.into_iter().for_each(|(step, list)| exchanged::put(expected, step, 200, list));
        },
    },
    Class {
        id: "what-was-is-not-kept",
        files: &["http"],
        applies: |said, _| said.exchanged().is_some_and(|it| !it.of_the_past().is_empty()),
        change: |said, expected| {
            let error = || exchanged::error(404, "connectivity:connection.history.notfound");
            let steps = said.exchanged().map(|it| it.of_the_past()).unwrap_or_default();
            steps.into_iter().for_each(|step| exchanged::put(expected, step, 404, error()));
        },
    },
    Class {
        id: "other-types-are-refused",
        files: &["piggyback"],
        applies: |said, _| said.exchanged().is_some_and(|it| !it.of_other_types().is_empty()),
        change: |said, expected| {
            let steps = said.exchanged().map(|it| it.of_other_types()).unwrap_or_default();
            steps.into_iter().for_each(|step| exchanged::put(expected, step, 200, exchanged::refused()));
        },
    },
    Class {
        id: "there-is-no-other-service",
        files: &["piggyback"],
        applies: |said, _| said.exchanged().is_some_and(|it| !it.to_all_services().is_empty()),
        change: |said, expected| {
            for step in said.exchanged().map(|it| it.to_all_services()).unwrap_or_default() {
                if let Some(services) = expected["steps"][step]["body"].as_object_mut() {
                    services.retain(|service, _| service == "connectivity");
                }
            }
        },
    },
];

fn classes() -> impl Iterator<Item = &'static Class> {
    CLASSES.iter().chain(&published::CLASSES).chain(&opened::CLASSES)
}

const INVALID_URI: &str = "connectivity:connection.uri.invalid";

const INVALID_CONFIGURATION: &str = "connectivity:connection.configuration.invalid";

/// Puts `ours` where the reference says `theirs`, and only there.
fn replace(expected: &mut Value, places: &[&str], theirs: &Value, ours: Value) {
    for place in places {
        if let Some(said) = expected.pointer_mut(place).filter(|said| **said == *theirs) {
            *said = ours.clone();
        }
    }
}

/// Puts another answer in place of the reference's.
fn put_answer(expected: &mut Value, ours: Option<Value>) {
    if let Some(ours) = ours {
        *expected = ours;
    }
}

/// Puts a member, or takes it away.
fn put(expected: &mut Value, name: &str, value: Option<Value>) {
    match (value, expected) {
        (Some(value), expected) => expected[name] = value,
        (None, Value::Object(members)) => drop(members.shift_remove(name)),
        _ => {}
    }
}

/// What the reference makes of the path of a policy's resource, if not what was said: of an event it drops the type, and
/// a key without slash gets one.
fn without_type(said: &Said) -> Option<String> {
    let (topic, path) = (said.topic(), said.path());
    let [_, _, "policies", criterion, action, ..] = topic.as_slice() else { return None };
    let ["entries", label, "resources", key @ ..] = path.as_slice() else { return None };
    let key = key.join("/");
    let (kind, inner) = key.split_once(':')?;
    let slash = if inner.is_empty() || inner.starts_with('/') { "" } else { "/" };
    match (*criterion, *action) {
        ("events", action) if action != "deleted" => {
            Some(format!("/entries/{label}/resources{slash}{inner}"))
        }
        _ => (slash == "/").then(|| format!("/entries/{label}/resources/{kind}:{slash}{inner}")),
    }
}

/// The code of an answer that is an error.
fn error_code(expected: &Value) -> Option<&str> {
    expected.get("error").map(|error| error["code"].as_str().unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    class: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    files: Vec<String>,
    adr: String,
    why: String,
}

impl Differences {
    /// The classes of tests/vectors/differences.toml.
    ///
    /// # Errors
    /// The file names a class that has no code, or lacks one that has.
    pub fn of_project() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let path = root.join("tests/vectors/differences.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let file: File = toml::from_str(&text).with_context(|| format!("parse {}", path.display()))?;
        for entry in &file.class {
            anyhow::ensure!(!entry.why.is_empty(), "class {} does not say why", entry.id);
            anyhow::ensure!(root.join(&entry.adr).is_file(), "class {}: there is no {}", entry.id, entry.adr);
            let known = classes().any(|class| class.id == entry.id && class.files == entry.files);
            anyhow::ensure!(known, "class {} of the files {:?} has no predicate", entry.id, entry.files);
        }
        for class in classes() {
            let explained = file.class.iter().any(|entry| entry.id == class.id);
            anyhow::ensure!(explained, "class {} is not explained in {}", class.id, path.display());
        }
        Ok(Self { classes: classes().copied().collect() })
    }

    /// What we answer to a row instead of the reference, if the row is of any class.
    pub fn expectation(&self, file: &str, row: &Value) -> Option<Value> {
        let said = Said::of(row);
        let theirs = row.get("expect")?;
        let mut ours = None;
        let is_of = |class: &&Class| class.files.contains(&file) && (class.applies)(&said, theirs);
        for class in self.classes.iter().filter(is_of) {
            (class.change)(&said, ours.get_or_insert_with(|| theirs.clone()));
        }
        ours
    }
}
