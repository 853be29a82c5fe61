//! Is nothing lost, whatever goes wrong? A driver writes signals, faults happen to the service, to the broker and between
//! them, and a judge looks at what came out.
//!
//! What must come out is written down by the oracle from the specification; nothing of the pipeline's code is used.

mod churn;
mod driver;
mod fault;
mod host;
mod judge;
mod ledger;
mod mapped;
mod oracle;
mod scene;
mod work;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

pub use self::churn::{Churn, ChurnOutcome, run as churn};
use self::driver::Driver;
pub use self::fault::Faults;
use self::fault::Schedule;
pub use self::judge::Verdict;
use self::ledger::Account;
use self::mapped::Mapped;
use self::oracle::Plain;
use self::scene::Scene;
use self::work::Work;

/// What a campaign does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// What goes wrong. Faults of the broker need one that nobody else uses.
    pub faults: Faults,
    /// What the service has to do meanwhile.
    pub load: Load,
    /// Signals a second.
    pub rate: u64,
    /// How many signals; without it as many as are written until the last fault is over.
    pub signals: Option<usize>,
    /// Where the service's logs go. Without it they are kept only if the run was not good, as a temporary file.
    pub logs: Option<PathBuf>,
}

/// Signals, and the targets that they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// Events of one kind, and targets that publish them as they are.
    Plain,
    /// Signals of all kinds, and targets that filter, enrich and map them.
    Mapped,
}

/// What a campaign came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What the judge says of the records.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Faults that are proven to have happened.
    #[serde(flatten)]
    pub faults: Faults,
    /// Signals that the feed has acknowledged.
    pub signals: usize,
    /// Records that came out.
    pub records: usize,
    /// Signals × targets that had to fail, and came out nowhere.
    pub failed: u64,
    /// Dead letters of them, those that came again included.
    pub letters: usize,
    /// How often the service's counters were read.
    pub readings: usize,
    /// How often they were not in balance, with each other, with the topics, or in the end with what is due.
    pub unbalanced: usize,
    /// The seed.
    pub seed: u64,
    /// A stop hands over what it has settled, and an idempotent producer repeats nothing. So records come again only where an
    /// instance has lost partitions: what lay between commit and newest record, for each target.
    pub duplicates_allowed: usize,
}

const FEED_PARTITIONS: usize = 4;
/// What may lie between the commit and the newest settled record of a partition of the feed (docs/operations.md, Bounds).
const SPAN: usize = 10_000;
/// Records of one target that show that the service is at work again: more than an instance may have had in flight when the
/// fault happened (5 000 for all three targets), since those come out even if it never reads again.
const FRESH: usize = 2_000;

/// Runs a campaign against the broker of this run. `progress` is told what happens.
///
/// # Errors
/// A fault could not be made to happen, or the service does not get on: the run is void then.
pub fn run(plan: &Plan, program: &str, mut progress: impl FnMut(String)) -> anyhow::Result<Outcome> {
    let work: Arc<dyn Work> = match plan.load {
        Load::Plain => Arc::new(Plain { seed: plan.seed }),
        Load::Mapped => Arc::new(Mapped { seed: plan.seed }),
    };
    let mut scene = Scene::open(plan, work.clone(), program)?;
    let result = play(&mut scene, plan, work, &mut progress);
    let is_good = result.as_ref().is_ok_and(|outcome| outcome.is_good(plan));
    let kept = (!is_good).then(|| std::env::temp_dir().join(format!("{}.log", scene.name)));
    if let Some(file) = plan.logs.clone().or(kept) {
        let mut log = scene.log()?;
        result.iter().flat_map(|outcome| &outcome.verdict.findings).for_each(|it| log += &format!("{it}\n"));
        fs::write(&file, log).context("cannot keep the logs")?;
        progress(format!("the logs of the service are in {}", file.display()));
    }
    result
}

fn play(
    scene: &mut Scene,
    plan: &Plan,
    work: Arc<dyn Work>,
    progress: &mut impl FnMut(String),
) -> anyhow::Result<Outcome> {
    let driver = Driver::start(scene.broker(), &scene.feed, plan, work.clone());
    for (over, planned) in (1..).zip(Schedule::of(plan)) {
        match plan.signals {
            Some(_) => scene.wait_for_count(planned.after)?,
            None => scene.wait_for_progress(planned.after).map(drop)?,
        }
        progress(format!("{:?} after {} records", planned.fault, scene.count()?));
        let happened = scene.strike(planned.fault).with_context(|| format!("{:?}", planned.fault))?;
        driver.go_on(plan, over);
        // If there is an end to the signals, few may be left; what was in flight shows in the end.
        let recovered = match plan.signals {
            Some(_) => scene.wait_for_commit(),
            None => scene.wait_for_progress(FRESH),
        };
        let recovered = recovered.with_context(|| format!("after {:?}", planned.fault))?;
        progress(format!("  {happened}; records flow after {:.1} s", recovered.as_secs_f64()));
    }
    while plan.signals.is_some() && !driver.is_done() {
        scene.watch()?;
        thread::sleep(Duration::from_millis(20));
    }
    let sent = driver.finish()?;
    let targets = 0..work.targets().len();
    let accounts: Vec<Account> = targets.map(|target| Account::of(&*work, &sent, target)).collect();
    // Only what has run all the time has counted everything, and each signal once.
    let is_alone = plan.faults == Faults::default() && sent.unknown.is_empty();
    scene.close(is_alone.then_some(&accounts))?;
    let (mut verdict, mut records) = (Verdict::default(), 0);
    verdict.findings = std::mem::take(&mut scene.unbalanced);
    let unbalanced = verdict.findings.len();
    for (target, (topic, account)) in scene.topics().iter().zip(&accounts).enumerate() {
        let contents = scene.broker().contents(topic)?;
        progress(format!("{topic}: {} records; {account}", contents.len()));
        records += contents.len();
        verdict.add(&*work, &sent, target, &contents, topic);
    }
    let mut letters = 0;
    if let Some(topic) = scene.letters() {
        let contents = scene.broker().contents(&topic)?;
        progress(format!("{topic}: {} dead letters", contents.len()));
        letters = contents.len();
        verdict.add_letters(&*work, &sent, &contents, &topic);
    }
    for finding in verdict.findings.iter().take(20) {
        progress(finding.clone());
    }
    for topic in scene.topics().iter().chain([&scene.feed]).chain(scene.letters().as_ref()) {
        scene.broker().delete_topic(topic)?;
    }
    let records_of_a_signal: usize =
        (0..work.targets().len()).map(|target| work.records_of_a_signal(target)).sum();
    Ok(Outcome {
        verdict,
        faults: scene.proven,
        signals: sent.acknowledged.len(),
        records,
        failed: accounts.iter().map(Account::failed).sum(),
        letters,
        readings: scene.readings,
        unbalanced,
        seed: plan.seed,
        duplicates_allowed: SPAN * records_of_a_signal * scene.rewound,
    })
}

impl Outcome {
    /// Whether nothing was lost, invented, changed or turned round, no more came again than may, the counters were in balance,
    /// and every planned fault has happened.
    #[must_use]
    pub fn is_good(&self, plan: &Plan) -> bool {
        let is_few = self.verdict.duplicates <= self.duplicates_allowed;
        let is_balanced = self.readings > 0 && self.unbalanced == 0;
        self.verdict.is_right() && is_few && is_balanced && self.faults == plan.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_good_only_if_all_of_it_is() {
        let faults = Faults { stops: 2, ..Faults::default() };
        let plan = Plan { seed: 1, faults, load: Load::Plain, rate: 1, signals: None, logs: None };
        let good = Outcome {
            verdict: Verdict { duplicates: 3, ..Verdict::default() },
            faults,
            signals: 9,
            records: 12,
            failed: 0,
            letters: 0,
            readings: 1,
            unbalanced: 0,
            seed: 1,
            duplicates_allowed: 3,
        };
        assert!(good.is_good(&plan));
        let bad: [fn(&mut Outcome); 8] = [
            |it| it.verdict.lost = 1,
            |it| it.verdict.phantom = 1,
            |it| it.verdict.unequal = 1,
            |it| it.verdict.reordered = 1,
            |it| it.duplicates_allowed = 2,
            |it| it.readings = 0,
            |it| it.unbalanced = 1,
            |it| it.faults = Faults::default(),
        ];
        for spoil in bad {
            let mut outcome = good.clone();
            spoil(&mut outcome);
            assert!(!outcome.is_good(&plan), "{outcome:?}");
        }
    }
}
