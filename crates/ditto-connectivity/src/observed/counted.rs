//! What the targets of a connection have counted, over all of its definitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use ditto_outbound::{CompiledConnection, CompiledTarget, TargetCounts};

/// What was counted for one address. It only grows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    /// All of it.
    pub(crate) counts: TargetCounts,
    /// Signals without an outcome yet.
    pub(crate) in_flight: u64,
    /// By definitions that are done.
    retired: TargetCounts,
}

/// Counts by address. Targets with one address count as one.
#[derive(Debug, Default)]
pub(super) struct ByAddress(BTreeMap<String, Counted>);

impl ByAddress {
    pub(super) fn of(&self, address: &str) -> Counted {
        self.0.get(address).cloned().unwrap_or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Counted)> {
        self.0.iter().map(|(address, counted)| (address.as_str(), counted))
    }

    /// Takes over what targets have counted by now: all that count at all.
    pub(super) fn look<'t>(&mut self, targets: impl Iterator<Item = &'t Arc<CompiledTarget>>) {
        let mut now: BTreeMap<&str, (TargetCounts, u64)> = BTreeMap::new();
        for target in targets {
            let counts = target.counters().snapshot();
            let (sum, in_flight) = now.entry(target.address_text()).or_default();
            *in_flight += counts.in_flight();
            *sum = sum.and(&counts);
        }
        for address in now.keys() {
            self.0.entry((*address).to_owned()).or_default();
        }
        for (address, counted) in &mut self.0 {
            let (sum, in_flight) = now.remove(address.as_str()).unwrap_or_default();
            counted.counts = counted.counts.at_least(&counted.retired.and(&sum));
            counted.in_flight = in_flight;
        }
    }

    /// Keeps what targets have counted that count no more.
    pub(super) fn retire<'t>(&mut self, targets: impl Iterator<Item = &'t Arc<CompiledTarget>>) {
        for target in targets {
            let counted = self.0.entry(target.address_text().to_owned()).or_default();
            counted.retired = counted.retired.and(&target.counters().snapshot());
        }
    }
}

/// Whether nobody else has the definition or one of its targets: it counts no more.
pub(super) fn is_done(compiled: &Arc<CompiledConnection>) -> bool {
    // A target is in the definition once, its topic for dead letters at each target, too.
    Arc::strong_count(compiled) == 1
        && compiled.targets().iter().all(|target| Arc::strong_count(target) == 1)
        && compiled.dead_letters().is_none_or(|it| Arc::strong_count(it) == 1 + compiled.targets().len())
}
