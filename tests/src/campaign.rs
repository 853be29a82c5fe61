//! Is nothing lost, whatever is killed? A driver writes signals, faults happen to the service, and a judge looks at what
//! came out.
//!
//! What must come out is written down by the oracle from the specification; nothing of the pipeline's code is used.

mod driver;
mod fault;
mod judge;
mod oracle;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;
use serde_json::json;

use self::driver::Driver;
use self::fault::{Fault, Schedule};
pub use self::judge::Verdict;
use self::oracle::TARGETS;
use crate::broker::Broker;
use crate::service::{Service, Setup, definition};

/// What a campaign does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Times that an instance is killed at once (`kill -9`).
    pub kills: usize,
    /// Times that an instance is told to stop.
    pub stops: usize,
    /// Times that a second instance joins and leaves.
    pub rebalances: usize,
    /// Signals a second.
    pub rate: u64,
}

/// What a campaign came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What the judge says of the records.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Kills that are proven to have happened.
    pub kills: usize,
    /// Stops that are proven to have happened.
    pub stops: usize,
    /// Rebalances that are proven to have happened.
    pub rebalances: usize,
    /// Signals that the feed has acknowledged.
    pub signals: usize,
    /// Records that came out.
    pub records: usize,
    /// The seed.
    pub seed: u64,
}

const FEED_PARTITIONS: i32 = 4;
const TARGET_PARTITIONS: i32 = 3;
/// Longest wait for progress, or for the end.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs a campaign against the broker of this run. `progress` is told what happens.
///
/// # Errors
/// A fault could not be made to happen, or the service does not get on: the run is void then.
pub fn run(plan: &Plan, program: &str, mut progress: impl FnMut(String)) -> anyhow::Result<Outcome> {
    let broker = Broker::of_this_run()?;
    let name = format!("campaign-{}-{}", plan.seed, std::process::id());
    let feed = format!("{name}-feed");
    broker.create_topic(&feed, FEED_PARTITIONS, &[])?;
    for target in TARGETS {
        broker.create_topic(&target.topic(&name), TARGET_PARTITIONS, &[])?;
    }
    let setups = ["one", "two"].map(|instance| setup(&broker, program, &name, &feed, instance));
    let [first, second] = setups;
    let (first, second) = (first?, second?);
    let watched = TARGETS[0].topic(&name);

    let driver = Driver::start(&broker, &feed, plan.seed, plan.rate);
    let mut proven = Proven::default();
    let mut service = first.start_run()?;
    for fault in Schedule::of(plan) {
        wait_for_progress(&broker, &watched, fault.after)?;
        progress(format!("{:?} after {} records", fault.fault, broker.count(&watched)?));
        service = match fault.fault {
            Fault::Kill => {
                service.kill()?;
                proven.kills += 1;
                first.start_run()?
            }
            Fault::Stop => {
                service.stop()?.expect_code(0)?;
                proven.stops += 1;
                first.start_run()?
            }
            Fault::Rebalance => {
                let guest = second.start_run()?;
                guest.wait_for_partitions()?;
                wait_for_progress(&broker, &watched, fault.after)?;
                guest.stop()?.expect_code(0)?;
                proven.rebalances += 1;
                service
            }
        };
    }
    let sent = driver.finish()?;
    wait_until_committed(&broker, &feed, &format!("{name}.campaign"))?;
    service.stop()?.expect_code(0)?;

    let mut outputs = Vec::new();
    for target in TARGETS {
        outputs.push((target, broker.contents(&target.topic(&name))?));
    }
    let records = outputs.iter().map(|(_, records)| records.len()).sum();
    let verdict = judge::judge(&sent, &outputs, &name);
    for finding in verdict.findings.iter().take(20) {
        progress(finding.clone());
    }
    for topic in TARGETS.iter().map(|target| target.topic(&name)).chain([feed]) {
        broker.delete_topic(&topic)?;
    }
    Ok(Outcome {
        verdict,
        kills: proven.kills,
        stops: proven.stops,
        rebalances: proven.rebalances,
        signals: sent.acknowledged.len(),
        records,
        seed: plan.seed,
    })
}

#[derive(Debug, Default)]
struct Proven {
    kills: usize,
    stops: usize,
    rebalances: usize,
}

impl Outcome {
    /// Whether nothing was lost, invented or turned round, and every planned fault has happened.
    #[must_use]
    pub fn is_good(&self, plan: &Plan) -> bool {
        let v = &self.verdict;
        let happened =
            self.kills == plan.kills && self.stops == plan.stops && self.rebalances == plan.rebalances;
        // Only a kill loses track of what is done; a stop and a rebalance hand over what they have settled.
        let may_repeat = plan.kills > 0 || plan.rebalances > 0;
        happened && v.lost == 0 && v.phantom == 0 && v.reordered == 0 && (may_repeat || v.duplicates == 0)
    }
}

/// A folder for an instance: the same connection and feed, its own identity in the group.
fn setup(broker: &Broker, program: &str, name: &str, feed: &str, instance: &str) -> anyhow::Result<Setup> {
    let setup = Setup::new(program)?;
    let targets: Vec<_> = TARGETS
        .iter()
        .map(|target| {
            json!({
                "address": target.address(name), "topics": ["_/_/things/twin/events"],
                "authorizationContext": [oracle::READER],
            })
        })
        .collect();
    setup.connection(&definition(oracle::CONNECTION, &broker.listeners.plaintext, &json!(targets)))?;
    setup.feed(&format!(
        "kind = \"kafka\"\nbootstrap_servers = \"{}\"\ntopics = [\"{feed}\"]\ngroup_id = \"{name}\"\n\
         start_at = \"earliest\"\ninternal_headers = \"trust\"\ninstance_id = \"{instance}\"\nsession_timeout = \"6s\"",
        broker.listeners.plaintext
    ))?;
    Ok(setup)
}

/// Waits until that many more records have come out: the service is at work.
fn wait_for_progress(broker: &Broker, topic: &str, records: usize) -> anyhow::Result<()> {
    let (start, before) = (Instant::now(), broker.count(topic)?);
    while broker.count(topic)? < before + records {
        ensure!(
            start.elapsed() < PATIENCE,
            "no progress for {PATIENCE:?}: {topic} stays at {before} records"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Waits until the group has committed the end of the feed.
fn wait_until_committed(broker: &Broker, feed: &str, group: &str) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let left = broker.lag(feed, group).context("lag of the feed")?;
        if left == 0 {
            return Ok(());
        }
        ensure!(start.elapsed() < PATIENCE, "{left} records of the feed are not settled");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Service {
    /// Kills it at once, and proves it.
    fn kill(self) -> anyhow::Result<()> {
        let pid = self.pid().to_string();
        ensure!(std::process::Command::new("kill").args(["-KILL", &pid]).status()?.success(), "kill failed");
        let ended = self.ended()?;
        ensure!(
            ended.code.is_none(),
            "it ended with code {:?} before it was killed:\n{}",
            ended.code,
            ended.stderr
        );
        Ok(())
    }
}
