//! Is nothing lost, whatever goes wrong? A driver writes signals, faults happen to the service, to the broker and between
//! them, and a judge looks at what came out.
//!
//! What must come out is written down by the oracle from the specification; nothing of the pipeline's code is used.

mod driver;
mod fault;
mod host;
mod judge;
mod oracle;
mod scene;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use serde::Serialize;

use self::driver::Driver;
pub use self::fault::Faults;
use self::fault::Schedule;
pub use self::judge::Verdict;
use self::oracle::TARGETS;
use self::scene::Scene;

/// What a campaign does.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// What goes wrong. Faults of the broker need one that nobody else uses.
    pub faults: Faults,
    /// Signals a second.
    pub rate: u64,
    /// Where the service's logs go. Without it they are kept only if the run was not good, as a temporary file.
    pub logs: Option<PathBuf>,
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
    /// The seed.
    pub seed: u64,
    /// Partitions of the feed that an instance has lost before it was done with them.
    #[serde(skip)]
    pub rewound: usize,
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
    let mut scene = Scene::open(plan, program)?;
    let result = play(&mut scene, plan, &mut progress);
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

fn play(scene: &mut Scene, plan: &Plan, progress: &mut impl FnMut(String)) -> anyhow::Result<Outcome> {
    let driver = Driver::start(scene.broker(), &scene.feed, plan.seed, plan.rate);
    for planned in Schedule::of(plan) {
        scene.wait_for_progress(planned.after)?;
        progress(format!("{:?} after {} records", planned.fault, scene.count()?));
        let happened = scene.strike(planned.fault).with_context(|| format!("{:?}", planned.fault))?;
        let recovered =
            scene.wait_for_progress(FRESH).with_context(|| format!("after {:?}", planned.fault))?;
        progress(format!("  {happened}; records flow after {:.1} s", recovered.as_secs_f64()));
    }
    let sent = driver.finish()?;
    scene.close()?;
    let (mut verdict, mut records) = (Verdict::default(), 0);
    for target in TARGETS {
        let topic = target.topic(&scene.name);
        let contents = scene.broker().contents(&topic)?;
        records += contents.len();
        verdict.add(&sent, target, &contents, &scene.name);
    }
    for finding in verdict.findings.iter().take(20) {
        progress(finding.clone());
    }
    for topic in TARGETS.iter().map(|target| target.topic(&scene.name)).chain([scene.feed.clone()]) {
        scene.broker().delete_topic(&topic)?;
    }
    Ok(Outcome {
        verdict,
        faults: scene.proven,
        signals: sent.acknowledged.len(),
        records,
        seed: plan.seed,
        rewound: scene.rewound,
    })
}

impl Outcome {
    /// Whether nothing was lost, invented or turned round, no more came again than may, and every planned fault has
    /// happened.
    #[must_use]
    pub fn is_good(&self, plan: &Plan) -> bool {
        let v = &self.verdict;
        let is_right = v.lost == 0 && v.phantom == 0 && v.reordered == 0;
        is_right && v.duplicates <= self.duplicates_allowed() && self.faults == plan.faults
    }

    /// A stop hands over what it has settled, and an idempotent producer repeats nothing. So records come again only where
    /// an instance has lost partitions: what lay between commit and newest record, for each target.
    #[must_use]
    pub fn duplicates_allowed(&self) -> usize {
        SPAN * TARGETS.len() * self.rewound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_again_only_where_partitions_were_lost() {
        let plan = Plan { seed: 1, faults: Faults { stops: 2, ..Faults::default() }, rate: 1, logs: None };
        let verdict = Verdict { duplicates: 1, ..Verdict::default() };
        let outcome = Outcome { verdict, faults: plan.faults, signals: 9, records: 9, seed: 1, rewound: 0 };
        assert!(!outcome.is_good(&plan));
        assert!(Outcome { verdict: Verdict::default(), ..outcome.clone() }.is_good(&plan));
        assert!(Outcome { rewound: 1, ..outcome.clone() }.is_good(&plan));
        let many = Verdict { duplicates: 30_001, ..Verdict::default() };
        assert!(!Outcome { rewound: 1, verdict: many, ..outcome.clone() }.is_good(&plan));
        assert!(!Outcome { rewound: 1, faults: Faults::default(), ..outcome }.is_good(&plan));
    }
}
