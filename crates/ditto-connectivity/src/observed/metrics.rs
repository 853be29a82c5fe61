//! The metrics of a connection (status-metrics-logs.md §4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use ditto_outbound::{CompiledConnection, Step, TargetCounts};
use serde_json::{Map, Value, json};

use super::counted::{ByAddress, Counted, is_done};
use super::windows::{Grown, put};

/// How often each step was taken, by address. What earlier definitions have counted is part of it.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// Definitions that count: the one that runs, those that still drain, and what announces.
    counting: Vec<Arc<CompiledConnection>>,
    targets: ByAddress,
    letters: ByAddress,
    of_address: BTreeMap<String, OfAddress>,
}

#[derive(Debug, Default)]
struct OfAddress {
    grown: [[Grown; 2]; Step::ALL.len()],
    /// What there was when counting began anew.
    base: TargetCounts,
}

/// What sources count: nothing, since they are not consumed.
const INBOUND: [&str; 7] =
    ["consumed", "mapped", "other", "dropped", "enforced", "acknowledged", "throttled"];

/// Steps of the reference in its order.
const OUTBOUND: [Step; 7] = [
    Step::Dispatched,
    Step::Filtered,
    Step::Mapped,
    Step::Other,
    Step::Dropped,
    Step::Published,
    Step::Acknowledged,
];

/// Where the reference counts what answers commands.
const RESPONSES: &str = "_responses";

impl Metrics {
    /// Counts what this definition counts, until nobody else has it any more.
    pub(super) fn count(&mut self, compiled: &Arc<CompiledConnection>) {
        self.counting.push(compiled.clone());
    }

    /// Takes over what was counted by now. `running` may count at any time.
    pub(super) fn look(&mut self, running: Option<&Arc<CompiledConnection>>, now: SystemTime) {
        let Self { counting, targets, letters, of_address } = self;
        counting.retain(|compiled| {
            // The one that runs is had by whoever asks, too.
            let is_running = running.is_some_and(|running| Arc::ptr_eq(running, compiled));
            let counts_on = is_running || !is_done(compiled);
            if !counts_on {
                targets.retire(compiled.targets().iter());
                letters.retire(compiled.dead_letters().into_iter());
            }
            counts_on
        });
        targets.look(counting.iter().flat_map(|it| it.targets()));
        letters.look(counting.iter().filter_map(|it| it.dead_letters()));
        for (address, counted) in targets.iter() {
            let of_address = of_address.entry(address.to_owned()).or_default();
            for (step, [good, bad]) in Step::ALL.into_iter().zip(&mut of_address.grown) {
                let [total_good, total_bad] = counted.counts.of_step(step);
                good.look(total_good, now);
                bad.look(total_bad, now);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn counting(&self) -> usize {
        self.counting.len()
    }

    pub(super) fn targets(&self) -> &ByAddress {
        &self.targets
    }

    pub(super) fn letters(&self) -> &ByAddress {
        &self.letters
    }

    pub(super) fn reset(&mut self) {
        for (address, of_address) in &mut self.of_address {
            of_address.grown.iter_mut().flatten().for_each(Grown::reset);
            of_address.base = self.targets.of(address).counts;
        }
    }

    pub(super) fn to_json(
        &self,
        compiled: &CompiledConnection,
        sources: &[String],
        now: SystemTime,
    ) -> Value {
        let zero = OfAddress::default();
        let addresses: Vec<&str> = compiled.targets().iter().map(|target| target.address_text()).collect();
        let of = |address: &str| self.of_address.get(address).unwrap_or(&zero);
        let all: Vec<&OfAddress> = {
            let mut once = addresses.clone();
            once.sort_unstable();
            once.dedup();
            once.into_iter().map(of).collect()
        };
        let (mut targets, mut funnels) = (json!({}), json!({}));
        for address in &addresses {
            put(&mut targets, address, outbound(&[of(address)], now));
            put(&mut funnels, address, funnel(&self.targets.of(address), &of(address).base));
        }
        put(&mut targets, RESPONSES, outbound(&[&zero], now));
        let inbound = || INBOUND.into_iter().map(|name| (name.to_owned(), counters(&[], &[], now)));
        let inbound = || Value::Object(inbound().collect());
        let mut of_sources = json!({});
        for source in sources {
            put(&mut of_sources, source, inbound());
        }
        let has_sources = !sources.is_empty();
        let contains_failures = all.iter().flat_map(|it| &it.grown).any(|[_, bad]| bad.is_any());
        json!({
            "connectionMetrics": {
                "inbound": has_sources.then(inbound), "outbound": outbound(&all, now),
            },
            "containsFailures": contains_failures,
            "sourceMetrics": { "addressMetrics": has_sources.then_some(of_sources) },
            "targetMetrics": { "addressMetrics": targets },
            "funnel": { "targets": funnels },
        })
    }
}

/// Of a connection that does not run.
pub(super) fn resting() -> Value {
    json!({
        "connectionMetrics": { "inbound": null, "outbound": null }, "containsFailures": false,
        "sourceMetrics": { "addressMetrics": null }, "targetMetrics": { "addressMetrics": null },
        "funnel": null,
    })
}

/// How many signals have come how far, and where the others ended: each reason by itself.
fn funnel(counted: &Counted, base: &TargetCounts) -> Value {
    let counts = counted.counts.since(base);
    let reasons = |counts: &[(&'static str, u64)]| {
        let named = counts.iter().map(|(reason, n)| ((*reason).to_owned(), Value::from(*n)));
        Value::Object(named.collect::<Map<_, _>>())
    };
    json!({
        "kindAndNamespace": counts.offered, "passedOver": reasons(&counts.passed_over),
        "selected": counts.selected, "authorized": counts.authorized(),
        "filtered": counts.matched, "mapped": counts.mapped, "published": counts.published,
        "dropped": reasons(&counts.dropped), "failed": reasons(&counts.failed),
        "inFlight": counted.in_flight,
    })
}

fn outbound(of: &[&OfAddress], now: SystemTime) -> Value {
    let of_step = |step: Step| {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for of_address in of {
            if let Some([well, ill]) = of_address.grown.get(step as usize) {
                good.push(well);
                bad.push(ill);
            }
        }
        (step.name().to_owned(), counters(&good, &bad, now))
    };
    Value::Object(OUTBOUND.into_iter().map(of_step).collect())
}

fn counters(good: &[&Grown], bad: &[&Grown], now: SystemTime) -> Value {
    json!({ "success": Grown::to_json(good, now), "failure": Grown::to_json(bad, now) })
}
