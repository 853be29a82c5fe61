//! What goes wrong, and when.

use std::time::Duration;

use serde::Serialize;

use super::Plan;
use crate::proxy::{Counts, Mode, Ways};

/// How many faults of each kind: planned, or proven to have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, clap::Args)]
pub struct Faults {
    /// Times that the service is killed at once.
    #[arg(long, default_value_t = 5)]
    pub kills: usize,
    /// Times that it is told to stop.
    #[arg(long, default_value_t = 2)]
    pub stops: usize,
    /// Times that a second instance joins and leaves.
    #[arg(long, default_value_t = 2)]
    pub rebalances: usize,
    /// Times that the broker is killed, and comes back.
    #[arg(long, default_value_t = 0)]
    pub broker_kills: usize,
    /// Times that the broker stands still for longer than a session.
    #[arg(long, default_value_t = 0)]
    pub broker_pauses: usize,
    /// Times that an instance stands still for longer than its session, while another one goes on.
    #[arg(long, default_value_t = 0)]
    pub instance_pauses: usize,
    /// Times that the password of the connection's user is changed and changed back.
    #[arg(long, default_value_t = 0)]
    pub rotations: usize,
    /// Times that the network between the service and the broker is in trouble.
    #[arg(long, default_value_t = 0)]
    pub network: usize,
}

/// Something that happens to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// `kill -9`, and a new process.
    Kill,
    /// SIGTERM, and a new process.
    Stop,
    /// A second instance joins the groups, and leaves again.
    Rebalance,
    /// `kill -9` of the broker, and a new process with its data.
    BrokerKill,
    /// SIGSTOP of the broker, and SIGCONT.
    BrokerPause,
    /// SIGSTOP of an instance while a second one takes over, and SIGCONT.
    InstancePause,
    /// The user of the target's cluster gets another password, and the old one again.
    Rotation,
    /// The proxy makes trouble.
    Network,
}

const KINDS: [Fault; 8] = [
    Fault::Kill,
    Fault::Stop,
    Fault::Rebalance,
    Fault::BrokerKill,
    Fault::BrokerPause,
    Fault::InstancePause,
    Fault::Rotation,
    Fault::Network,
];

impl Faults {
    pub(super) fn total(mut self) -> usize {
        KINDS.iter().map(|fault| *self.of(*fault)).sum()
    }

    pub(super) fn of(&mut self, fault: Fault) -> &mut usize {
        match fault {
            Fault::Kill => &mut self.kills,
            Fault::Stop => &mut self.stops,
            Fault::Rebalance => &mut self.rebalances,
            Fault::BrokerKill => &mut self.broker_kills,
            Fault::BrokerPause => &mut self.broker_pauses,
            Fault::InstancePause => &mut self.instance_pauses,
            Fault::Rotation => &mut self.rotations,
            Fault::Network => &mut self.network,
        }
    }
}

/// A fault, after so many more records have come out; so many in all, if there is an end to the signals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Planned {
    pub(super) fault: Fault,
    pub(super) after: usize,
}

/// The faults of a plan in an order and at times that the seed decides.
#[derive(Debug)]
pub(super) struct Schedule;

impl Schedule {
    pub(super) fn of(plan: &Plan) -> impl Iterator<Item = Planned> {
        let mut left = plan.faults;
        let mut chance = Chance::new(plan.seed);
        let (all, mut share, signals) = (plan.faults.total() + 1, 0, plan.signals);
        std::iter::from_fn(move || {
            let mut drawn = chance.below(left.total().max(1));
            let fault = KINDS.into_iter().find(|fault| {
                let n = *left.of(*fault);
                let is_drawn = drawn < n;
                drawn = drawn.saturating_sub(n);
                is_drawn
            })?;
            *left.of(fault) -= 1;
            let after = match signals {
                // Of the first target, which has most, more than seven in ten signals become records.
                Some(signals) => signals * 7 / 10 * (share * 1_000 + chance.below(1_000)) / (all * 1_000),
                None => 100 + chance.below(3_000),
            };
            share += 1;
            Some(Planned { fault, after })
        })
    }
}

/// What the proxy does, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) mode: Mode,
    pub(super) lasts: Duration,
}

impl Trouble {
    /// The n-th trouble of a seed. Seven in a row are of seven kinds; the seed decides which one is first, and the rest.
    pub(super) fn of(seed: u64, n: usize) -> Self {
        let first = Chance::new(seed).below(7);
        let mut chance = Chance::new(seed ^ (n as u64) << 32);
        let mut between = |from: usize, to: usize| from + chance.below(to - from);
        let millis = |n: usize| Duration::from_millis(n as u64);
        let (mode, lasts) = match (first + 3 * n) % 7 {
            0 => (Mode::Delay(millis(between(200, 1_500))), between(4_000, 8_000)),
            1 => (Mode::Limit(between(20_000, 200_000) as u32), between(4_000, 8_000)),
            2 => (Mode::Reset, between(1_000, 3_000)),
            3 => (Mode::Refuse, between(2_000, 8_000)),
            // Shorter and longer than a session, and than the time-out of a request (10 s).
            4 => (Mode::Blackhole(Ways::Both), between(3_000, 13_000)),
            5 => (Mode::Blackhole(Ways::ToBroker), between(3_000, 13_000)),
            _ => (Mode::Blackhole(Ways::ToClient), between(3_000, 13_000)),
        };
        Self { mode, lasts: millis(lasts) }
    }

    /// Whether it has met connections at work.
    pub(super) fn has_hit(self, counts: Counts) -> bool {
        let is_hit = match self.mode {
            Mode::Pass => false,
            Mode::Delay(_) | Mode::Limit(_) => counts.from_clients > 0 && counts.from_broker > 0,
            Mode::Reset | Mode::Refuse => counts.cut > 0,
            Mode::Blackhole(Ways::Both | Ways::ToBroker) => counts.from_clients > 0,
            Mode::Blackhole(Ways::ToClient) => counts.from_broker > 0,
        };
        counts.live > 0 && is_hit
    }
}

/// Numbers that a seed decides (xorshift).
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::campaign::Load;

    #[test]
    fn a_seed_gives_the_planned_faults_in_one_order() {
        let planned = Faults { kills: 5, stops: 3, rebalances: 2, network: 4, ..Faults::default() };
        let plan = Plan { seed: 7, faults: planned, load: Load::Plain, rate: 1, signals: None, logs: None };
        let faults = |plan: &Plan| Schedule::of(plan).map(|it| (it.fault, it.after)).collect::<Vec<_>>();
        let first = faults(&plan);
        assert_eq!(first, faults(&plan));
        let mut counted = Faults::default();
        first.iter().for_each(|(fault, _)| *counted.of(*fault) += 1);
        assert_eq!(counted, planned);
        assert_ne!(first, faults(&Plan { seed: 8, ..plan }));
    }

    #[test]
    fn seven_troubles_are_of_seven_kinds() {
        for seed in 0..20 {
            let kinds = (5..12).map(|n| match Trouble::of(seed, n).mode {
                Mode::Delay(_) => "delay".to_owned(),
                Mode::Limit(_) => "limit".to_owned(),
                mode => format!("{mode:?}"),
            });
            assert_eq!(kinds.collect::<HashSet<_>>().len(), 7);
            assert_eq!(Trouble::of(seed, 3), Trouble::of(seed, 3));
        }
    }

    #[test]
    fn trouble_that_met_nobody_has_not_happened() {
        let hit = Counts { live: 2, opened: 1, cut: 1, from_clients: 1, from_broker: 1 };
        for n in 0..7 {
            let trouble = Trouble::of(1, n);
            assert!(trouble.has_hit(hit));
            assert!(!trouble.has_hit(Counts { live: 0, ..hit }));
            assert!(!trouble.has_hit(Counts { live: 2, opened: 1, ..Counts::default() }));
        }
    }
}
