//! What goes wrong, and when.

use super::Plan;

/// Something that happens to the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// `kill -9`, and a new process.
    Kill,
    /// SIGTERM, and a new process.
    Stop,
    /// A second instance joins the groups, and leaves again.
    Rebalance,
}

/// A fault, after so many more records have come out.
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
        let mut left =
            [(Fault::Kill, plan.kills), (Fault::Stop, plan.stops), (Fault::Rebalance, plan.rebalances)];
        let mut chance = Chance::new(plan.seed);
        std::iter::from_fn(move || {
            let total: usize = left.iter().map(|(_, n)| n).sum();
            let mut drawn = chance.below(total.max(1));
            let (fault, n) = left.iter_mut().find(|(_, n)| {
                let is_drawn = drawn < *n;
                drawn = drawn.saturating_sub(*n);
                is_drawn
            })?;
            *n -= 1;
            Some(Planned { fault: *fault, after: 100 + chance.below(3_000) })
        })
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
    use super::*;

    #[test]
    fn a_seed_gives_the_planned_faults_in_one_order() {
        let plan = Plan { seed: 7, kills: 5, stops: 3, rebalances: 2, rate: 1 };
        let faults = |plan: &Plan| Schedule::of(plan).map(|it| (it.fault, it.after)).collect::<Vec<_>>();
        let first = faults(&plan);
        assert_eq!(first, faults(&plan));
        let count = |fault| first.iter().filter(|(it, _)| *it == fault).count();
        assert_eq!((count(Fault::Kill), count(Fault::Stop), count(Fault::Rebalance)), (5, 3, 2));
        assert_ne!(first, faults(&Plan { seed: 8, ..plan }));
    }
}
