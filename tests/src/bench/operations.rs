//! What is measured by repeating it, without a broker. Time is that of the processor; allocations and instructions are counted in
//! processes of their own, since counting costs time.

use std::collections::BTreeMap;
use std::fmt;
use std::hint::black_box;
use std::process::Command;

use anyhow::{Context, ensure};

use super::{Allocations, Usage};

/// Processor time for which an operation is repeated in each round, in seconds: the clock has units of 1/100 s.
const SECONDS: f64 = 0.3;

/// Something that is measured.
pub(super) struct Operation {
    name: &'static str,
    /// Does it that often.
    repeat: Box<dyn FnMut(u64)>,
}

impl Operation {
    pub(super) fn new<T>(name: &'static str, mut once: impl FnMut() -> T + 'static) -> Self {
        let repeat = move |times| {
            for _ in 0..times {
                black_box(once());
            }
        };
        Self { name, repeat: Box::new(repeat) }
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn repeat(&mut self, times: u64) {
        (self.repeat)(times);
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Operation").field(&self.name).finish()
    }
}

/// An event of 600 bytes about a thing as a whole, as Ditto writes it.
pub(super) const EVENT: &str = r#"{"topic":"org.acme.factory/press-0004/things/twin/events/modified","headers":{"correlation-id":"8a1b0c7e-52d4-4b0e-9a51-000000000001","ditto-originator":"acme:gateway","content-type":"application/json"},"path":"/","value":{"thingId":"org.acme.factory:press-0004","policyId":"org.acme.factory:press-0004","attributes":{"maker":"ACME","counter":1480,"site":"north-7"},"features":{"spindle":{"properties":{"speed":{"value":1480,"unit":"rpm"},"vibration":[0.012,0.034,0.021],"state":"run"}},"lamp":{"properties":{"on":true}}}},"revision":42,"timestamp":"2026-03-04T05:06:07.008Z","extra":{"shift":"A-1"}}"#;

/// Repeats one operation (used by the benchmark itself).
///
/// # Errors
/// There is none of that name.
pub(super) fn repeat(
    operations: impl Iterator<Item = Operation>,
    name: &str,
    times: u64,
) -> anyhow::Result<()> {
    let mut named = operations.filter(|operation| operation.name() == name);
    named.next().with_context(|| format!("there is no operation `{name}`"))?.repeat(times);
    Ok(())
}

/// Seconds of each time.
pub(super) fn cpu_seconds(operation: &mut Operation, times: u64) -> anyhow::Result<f64> {
    let start = Usage::now(|| None)?;
    operation.repeat(times);
    Ok(Usage::now(|| None)?.since(&start).cpu_seconds / times as f64)
}

/// How often an operation can be done in [`SECONDS`], at least once.
pub(super) fn repetitions(operation: &mut Operation) -> anyhow::Result<u64> {
    let mut times = 1;
    loop {
        let took = cpu_seconds(operation, times)? * times as f64;
        if took >= SECONDS / 4.0 {
            return Ok(((times as f64 * SECONDS / took) as u64).max(1));
        }
        times *= 2;
    }
}

/// Allocations of each operation, by name.
pub(super) fn counted(
    operations: Vec<Operation>,
    allocations: Allocations,
) -> anyhow::Result<BTreeMap<String, f64>> {
    const TIMES: u64 = 1_000;
    let mut counted = BTreeMap::new();
    for mut operation in operations {
        // What is used again has to be there.
        operation.repeat(1);
        let before = allocations().context("nobody counts")?;
        operation.repeat(TIMES);
        let after = allocations().context("nobody counts")?;
        counted.insert(operation.name().to_owned(), (after - before) as f64 / TIMES as f64);
    }
    Ok(counted)
}

/// What the program that counts allocations says of a benchmark.
pub(super) fn of_counted(bench: &str) -> anyhow::Result<BTreeMap<String, f64>> {
    let program = std::env::current_exe()?.with_file_name("bench-counted");
    let output = Command::new(program).args(["--only", bench]).output().context("cannot count")?;
    ensure!(output.status.success(), "counting failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Instructions of an operation: what a thousand more of them cost.
pub(super) fn instructions(name: &str) -> anyhow::Result<f64> {
    const MORE: u64 = 1_000;
    let few = collected(name, 1)?;
    Ok((collected(name, 1 + MORE)? - few) / MORE as f64)
}

fn collected(name: &str, times: u64) -> anyhow::Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["operation", name, &times.to_string()])
        .output()
        .context("cannot run valgrind; install it, or leave --instructions away")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind failed: {said}");
    let (_, number) = said.rsplit_once("Collected : ").context("valgrind has counted nothing")?;
    Ok(number.split_whitespace().next().context("no number")?.parse()?)
}
