//! What payload mappers cost beside the Ditto mapper: `cargo xtask bench mappers`. No broker takes part.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{anyhow, ensure};
use bytes::Bytes;
use ditto_javascript::JavaScriptFactory;
use ditto_mapping::{Engines, LaneMappers, Mappings, Outcome, OutgoingSignal};
use ditto_placeholder::{Placeholder, Resolve};
use ditto_protocol::{Limits, Signal, Written};
use serde_json::{Value, json};

use super::operations::{EVENT, Operation, counted, cpu_seconds, instructions, of_counted, repetitions};
use super::spread::Spread;
use super::{Allocations, Args, Format};

/// What the ratios are to.
const DITTO: &str = "ditto";

/// A live message of 600 bytes, which is what the raw mapper is for.
const MESSAGE: &str = r#"{"topic":"org.acme.factory/press-0004/things/live/messages/report","headers":{"correlation-id":"8a1b0c7e-52d4-4b0e-9a51-000000000001","content-type":"application/json","ditto-originator":"acme:gateway"},"path":"/outbox/messages/report","value":{"maker":"ACME","counter":1480,"site":"north-7","spindle":{"speed":{"value":1480,"unit":"rpm"},"vibration":[0.012,0.034,0.021],"state":"run"},"lamp":{"on":true},"shift":{"name":"A-1","since":"2026-03-04T05:06:07.008Z","foreman":"org.acme.people:0815"},"notes":["checked","oiled"],"tool":{"id":"t-17","wear":0.25,"changed":"2026-03-01T00:00:00Z","by":"8"}}}"#;

/// Signal out as it came in, through objects.
const IDENTITY: &str = "function mapFromDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value, status, extra) {
  const message = Ditto.buildDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value, status, extra);
  return Ditto.buildExternalMsg(dittoHeaders, JSON.stringify(message), null, 'application/vnd.eclipse.ditto+json');
}";
/// A few values, as most scripts do.
const SELECTED: &str = "function mapFromDittoProtocolMsg(namespace, name, group, channel, criterion, action, path, dittoHeaders, value, status, extra) {
  const spindle = value.features.spindle.properties;
  const payload = { device: namespace + ':' + name, path, speed: spindle.speed.value, unit: spindle.speed.unit, state: spindle.state };
  const headers = { 'correlation-id': dittoHeaders['correlation-id'] };
  return Ditto.buildExternalMsg(headers, JSON.stringify(payload), null, 'application/json');
}";
/// What a script costs that does nothing.
const NOTHING: &str = "function mapFromDittoProtocolMsg() { return null; }";

/// Answers whether everything could be measured.
///
/// # Errors
/// A mapper does not map, a process that counts goes wrong, or the system tells no times.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the answer of this program, and its progress")]
pub(super) fn run(args: &Args, allocations: Allocations) -> anyhow::Result<()> {
    if allocations().is_some() {
        println!("{}", serde_json::to_string(&counted(all()?, allocations)?)?);
        return Ok(());
    }
    let allocations = of_counted("mappers")?;
    let mut operations = all()?;
    let times = operations.iter_mut().map(repetitions).collect::<anyhow::Result<Vec<_>>>()?;
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); operations.len()];
    for round in 0..args.pairs {
        eprintln!("round {}", round + 1);
        for ((operation, times), seconds) in operations.iter_mut().zip(&times).zip(&mut seconds) {
            seconds.push(cpu_seconds(operation, *times)?);
        }
    }
    let mut counted_instructions = BTreeMap::new();
    if args.instructions {
        for operation in &operations {
            counted_instructions.insert(operation.name(), instructions(operation.name())?);
        }
    }
    let names: Vec<_> = operations.iter().map(Operation::name).collect();
    let report = Report { names, seconds, allocations, instructions: counted_instructions };
    println!("{}", if args.format == Format::Json { report.json() } else { report.table() });
    Ok(())
}

/// All of them; the first one is what the others are compared with.
///
/// # Errors
/// One of them does not map.
pub(super) fn all() -> anyhow::Result<Vec<Operation>> {
    let engines = Engines::default().with(Arc::new(JavaScriptFactory::default()));
    let script = |text: &str| json!({ "mappingEngine": "JavaScript", "options": { "outgoingScript": text } });
    let definitions =
        json!({ "nothing": script(NOTHING), "selected": script(SELECTED), "identity": script(IDENTITY) });
    let mappings = Mappings::read(Some(&definitions), &engines);
    let outgoing = |name, mapper, message, expected| outgoing(name, &mappings, mapper, message, expected);
    Ok(vec![
        outgoing(DITTO, "Ditto", EVENT, true)?,
        outgoing("normalized", "Normalized", EVENT, true)?,
        outgoing("cloud-events", "CloudEvents", EVENT, true)?,
        outgoing("raw-message", "RawMessage", MESSAGE, true)?,
        outgoing("javascript-nothing", "nothing", EVENT, false)?,
        outgoing("javascript-selected", "selected", EVENT, true)?,
        outgoing("javascript-identity", "identity", EVENT, true)?,
    ])
}

struct Nothing;

impl Resolve for Nothing {
    fn resolve(&self, _: &Placeholder, _: &mut String) -> Option<()> {
        None
    }
}

/// A signal that was decoded, through a mapper of a lane; what comes of it is dropped.
fn outgoing(
    name: &'static str,
    mappings: &Mappings,
    mapper: &str,
    message: &'static str,
    is_expected: bool,
) -> anyhow::Result<Operation> {
    let list = mappings.list(&[mapper], "").map_err(|findings| anyhow!("{name}: {findings:?}"))?;
    let signal = Signal::decode(Bytes::from_static(message.as_bytes()), &Limits::default())?;
    let mut lane = LaneMappers::default();
    let mut once = move || {
        let mut is_mapped = false;
        let signal = OutgoingSignal::new(&signal, Written::default(), &Nothing);
        lane.outgoing(&list, &signal, |_, outcome| is_mapped = matches!(outcome, Outcome::Mapped(_)));
        is_mapped
    };
    ensure!(once() == is_expected, "{name} does not map");
    Ok(Operation::new(name, once))
}

/// The rounds.
#[derive(Debug)]
struct Report {
    names: Vec<&'static str>,
    /// Of each operation, of each round.
    seconds: Vec<Vec<f64>>,
    allocations: BTreeMap<String, f64>,
    /// If somebody asked.
    instructions: BTreeMap<&'static str, f64>,
}

impl Report {
    /// Name, nanoseconds, and the ratio of each round, since the machine may change between rounds.
    fn lines(&self) -> impl Iterator<Item = (&'static str, Spread, Spread)> {
        let ditto = self.seconds.first().map_or(&[][..], Vec::as_slice);
        self.names.iter().zip(&self.seconds).map(move |(name, seconds)| {
            let time = Spread::of(seconds.iter().map(|seconds| seconds * 1e9));
            (*name, time, Spread::of(seconds.iter().zip(ditto).map(|(seconds, ditto)| seconds / ditto)))
        })
    }

    fn json(&self) -> String {
        let operations = self.lines().map(|(name, time, ratio)| {
            let measured = json!({
                "cpu_ns": time.median, "cpu_ns_min": time.min, "cpu_ns_max": time.max,
                "ratio": ratio.median, "ratio_min": ratio.min, "ratio_max": ratio.max,
                "allocations": self.allocations.get(name), "instructions": self.instructions.get(name),
            });
            (name.to_owned(), measured)
        });
        json!({
            "bench": "mappers", "message_bytes": EVENT.len(), "pairs": self.seconds.first().map_or(0, Vec::len),
            "operations": operations.collect::<serde_json::Map<String, Value>>(),
        })
        .to_string()
    }

    fn table(&self) -> String {
        let mut text = format!(
            "mappers: a signal of {} bytes, {} rounds; median (least–largest)\n{:<20} {:>22} {:>22} {:>12} {:>12}\n",
            EVENT.len(),
            self.seconds.first().map_or(0, Vec::len),
            "",
            "CPU ns",
            "ratio to ditto",
            "allocations",
            "instructions"
        );
        for (name, time, ratio) in self.lines() {
            let count = |counted: Option<&f64>| counted.map_or("-".to_owned(), |count| format!("{count:.0}"));
            let (allocations, instructions) =
                (count(self.allocations.get(name)), count(self.instructions.get(name)));
            text.push_str(&format!(
                "{name:<20} {:>22} {:>22} {allocations:>12} {instructions:>12}\n",
                time.rounded(0),
                ratio.rounded(2),
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_size_that_is_told_and_ratios_are_of_their_round() {
        assert_eq!((EVENT.len(), MESSAGE.len()), (600, 600));
        let report = Report {
            names: vec![DITTO, "other"],
            seconds: vec![vec![1e-9, 2e-9], vec![3e-9, 6e-9]],
            allocations: BTreeMap::new(),
            instructions: BTreeMap::new(),
        };
        let other = report.lines().last().unwrap();
        assert_eq!((other.2.min, other.2.max), (3.0, 3.0));
        assert!(report.table().contains("other"));
    }
}
