//! Scripts that are made to do harm. Each ends within its bounds, in an error or a result, and leaves the next message of its
//! own mapper and of another one as they were.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is not as it should be ends the test, with a text"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ditto_javascript::{JavaScriptFactory, ScriptLimits};
use ditto_mapping::{
    Engines, ExternalMessage, LaneMappers, MapperList, Mappings, Outcome, OutgoingSignal, Payload,
};
use ditto_placeholder::{Placeholder, Resolve};
use ditto_protocol::{Limits, Signal, Written};
use serde_json::json;

/// No script takes as long as this: whoever does has got out of its bounds, and would hang for ever.
const HANG: Duration = Duration::from_secs(300);

/// Names of scripts that end when time is over, or at once, and never for want of memory: their time is short, so that how fast the
/// machine is would decide.
const ENDLESS: [&str; 6] = ["async-", "import-", "loop-", "native-", "out-", "regex-"];

/// What the process may have had at most, in KiB: a scope's memory a few times, and what tests have themselves.
const MOST_KIB: u64 = 256 << 10;

/// Says what the mapper's own helpers and the language make of a message, so that a change of either is seen.
const WELL: &str = r#"
function put(v) {
  return Ditto.buildDittoProtocolMsg('a', 'b', 'things', 'twin', 'commands', 'modify', '/attributes/v', {}, v);
}
function well() {
  return [[1, 2].map(n => n * 2).join('-'), 'a,b'.split(','), String({}), [] + '', Object.keys({ x: 1 }), ({}).evil,
    JSON.stringify(JSON.parse('{"a":[1]}')), Ditto.arrayBufferToString(Ditto.stringToArrayBuffer('t')), [...'xy'], Math.max(1, 2),
    typeof undefined, new Map([[1, 2]]).get(1), (function () { return arguments.length; }).apply(null, [1, 2])];
}
"#;
const WELL_ANSWER: &str =
    r#"["2-4",["a","b"],"[object Object]","",["x"],null,"{\"a\":[1]}","t",["x","y"],2,"undefined",2,2]"#;

struct Nothing;

impl Resolve for Nothing {
    fn resolve(&self, _: &Placeholder, _: &mut String) -> Option<()> {
        None
    }
}

/// A mapper with the body of one script, for messages that say `attack`.
struct Scripted {
    list: MapperList,
    lane: LaneMappers,
    is_out: bool,
}

impl Scripted {
    fn new(factory: &JavaScriptFactory, name: &str, body: &str) -> Self {
        let is_out = name.starts_with("out-");
        let (option, script) = if is_out {
            let function = "function mapFromDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value) {
  if (value.what !== 'attack') return Ditto.buildExternalMsg({}, JSON.stringify(well()), null, 'x/y');";
            ("outgoingScript", format!("{WELL}{function}\n{body}\n}}"))
        } else {
            let function = "function mapToDittoProtocolMsg(headers, textPayload, bytePayload, contentType) {
  if (textPayload !== 'attack') return put(well());";
            ("incomingScript", format!("{WELL}{function}\n{body}\n}}"))
        };
        let definitions = json!({ "js": { "mappingEngine": "JavaScript", "options": { option: script } } });
        let mappings =
            Mappings::read(Some(&definitions), &Engines::default().with(Arc::new(factory.clone())));
        let findings = mappings.findings(|_| true);
        assert!(findings.is_empty(), "{name}: {}", findings[0]);
        Self { list: mappings.list(&["js"], "").unwrap(), lane: LaneMappers::default(), is_out }
    }

    /// What the script makes of a message, in short.
    fn map(&mut self, what: &str) -> String {
        let mut ends = Vec::new();
        if self.is_out {
            let event = json!({ "topic": "a/b/things/twin/events/modified", "path": "/attributes", "value": { "what": what }, "revision": 3 });
            let signal = Signal::decode(event.to_string().into(), &Limits::default()).unwrap();
            let signal = OutgoingSignal::new(&signal, Written::default(), &Nothing);
            self.lane.outgoing(&self.list, &signal, |_, outcome| {
                ends.push(end(outcome, |message| {
                    let payload = match message.payload() {
                        Payload::Text(text) => String::from_utf8_lossy(text).into_owned(),
                        other => format!("{other:?}"),
                    };
                    let headers = message.headers().filter(|(name, _)| *name != "content-type");
                    headers.map(|(name, value)| format!("{name}={value} ")).chain([payload]).collect()
                }));
            });
        } else {
            let record = ExternalMessage::of_record(Vec::new(), Some(what.to_owned().into()));
            self.lane.incoming(&self.list, &record, "c", |_, outcome| {
                ends.push(end(outcome, |signal| signal.value().unwrap_or("-").to_owned()));
            });
        }
        ends.sort();
        ends.dedup();
        ends.join(" / ")
    }
}

fn end<T>(outcome: Outcome<T>, of: impl FnOnce(T) -> String) -> String {
    let text = match outcome {
        Outcome::Mapped(it) => format!("result {}", of(it)),
        Outcome::Dropped(_) => "dropped".to_owned(),
        Outcome::Failed(error) => {
            let reason = error.reason().strip_prefix("the script failed: ").unwrap_or(error.reason());
            match reason {
                reason if reason.starts_with("it took longer than ") => "time".to_owned(),
                reason if reason.starts_with("it needs more than ") => "memory".to_owned(),
                other => format!("error {other}"),
            }
        }
    };
    shown(&text)
}

/// In one line of a table.
fn shown(text: &str) -> String {
    text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "hostile"].iter().collect()
}

fn scripts() -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let scripts = entries.filter(|path| path.extension().is_some_and(|it| it == "js"));
    scripts
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Does it in a thread of its own, and ends the process with a text if a step of it has no end.
fn without_hanging(what: impl FnOnce(&dyn Fn(&str)) + Send + 'static) {
    let (steps, progress) = mpsc::channel();
    let working = thread::spawn(move || what(&|step| drop(steps.send(step.to_owned()))));
    let mut last = String::new();
    loop {
        match progress.recv_timeout(HANG) {
            Ok(step) => last = step,
            Err(RecvTimeoutError::Timeout) => {
                // Not by a macro, whose text the test program would keep until the end that does not come.
                let text = format!("`{last}` has run for more than {HANG:?}: it is out of its bounds\n");
                io::stderr().write_all(text.as_bytes()).unwrap();
                std::process::abort();
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if let Err(panic) = working.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The most memory that this process has had so far, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn each_script_ends_as_the_table_says_and_hurts_no_other_message() {
    let ends = Arc::new(Mutex::new(String::new()));
    let table = ends.clone();
    without_hanging(move |step| {
        let factory = |max_time| {
            let mut limits = ScriptLimits::default();
            limits.max_time = max_time;
            JavaScriptFactory::new(limits)
        };
        // What has no end gets little time, and what has one gets much: how it ends is not up to the machine.
        let factories = [factory(Duration::from_millis(100)), factory(Duration::from_secs(30))];
        let mut others =
            factories.each_ref().map(|factory| Scripted::new(factory, "other", "return put('other');"));
        let well = shown(&format!("result {WELL_ANSWER}"));
        let mut mistakes = Vec::new();
        for (name, body) in scripts() {
            step(&name);
            let is_endless = ENDLESS.iter().any(|prefix| name.starts_with(prefix));
            let which = usize::from(!is_endless);
            let (factory, other) = (&factories[which], &mut others[which]);
            let mut scripted = Scripted::new(factory, &name, &body);
            let end = scripted.map("attack");
            let mut check = |what: &str, answer: String, expected: &str| {
                if answer != expected {
                    mistakes.push(format!("{name}: {what}: {answer} instead of {expected}"));
                }
            };
            check("its end", (!(is_endless && end == "memory")).to_string(), "true");
            step(&format!("{name}, again"));
            check("when it comes again", scripted.map("attack"), &end);
            check("the next message of the same mapper", scripted.map("well"), &well);
            check("the next message of another mapper", other.map("well"), &well);
            let usage = factory.usage();
            let most = 2 * ScriptLimits::default().max_memory;
            check("scopes", usage.scopes.to_string(), "2");
            check("bytes in bounds", (usage.bytes <= most).to_string(), "true");
            check("overdue", format!("{:?}", usage.overdue), "[]");
            table.lock().unwrap().push_str(&format!("{name:<36} {end}\n"));
        }
        assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    });
    expect_test::expect_file!["hostile/table.txt"].assert_eq(&ends.lock().unwrap());
    assert!(peak() < MOST_KIB, "the process has had {} MiB", peak() >> 10);
}
