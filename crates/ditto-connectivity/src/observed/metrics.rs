//! The metrics of a connection (status-metrics-logs.md §4).

use std::collections::BTreeMap;
use std::time::SystemTime;

use ditto_outbound::{CompiledConnection, Step};
use serde_json::{Value, json};

use super::windows::{Grown, put};

/// How often each step was taken, by address. What earlier definitions have counted is part of it.
#[derive(Debug, Default)]
pub(super) struct Metrics(BTreeMap<String, OfAddress>);

/// A total of each step, of what went well and of what did not.
type Totals = [[u64; 2]; Step::ALL.len()];

#[derive(Debug, Default)]
struct OfAddress {
    /// By definitions that do not run any more.
    retired: Totals,
    grown: [[Grown; 2]; Step::ALL.len()],
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
    /// Takes over what the targets of a definition have counted by now.
    pub(super) fn look(&mut self, compiled: &CompiledConnection, now: SystemTime) {
        for (address, totals) in totals(compiled) {
            let of_address = self.0.entry(address).or_default();
            let sums = of_address.retired.iter().zip(totals).zip(&mut of_address.grown);
            for (([good, bad], [more_good, more_bad]), [grown_good, grown_bad]) in sums {
                grown_good.look(good + more_good, now);
                grown_bad.look(bad + more_bad, now);
            }
        }
    }

    /// The definition does not run any more: what it has counted stays.
    pub(super) fn retire(&mut self, compiled: &CompiledConnection) {
        for (address, _) in totals(compiled) {
            let of_address = self.0.entry(address).or_default();
            of_address.retired = of_address.grown.each_ref().map(|step| step.each_ref().map(Grown::total));
        }
    }

    /// Adds what targets have counted beside those that run.
    pub(super) fn add(&mut self, beside: &CompiledConnection, now: SystemTime) {
        for (address, totals) in totals(beside) {
            let of_address = self.0.entry(address).or_default();
            let sums = of_address.retired.iter_mut().zip(totals).zip(&mut of_address.grown);
            for (([good, bad], [more_good, more_bad]), [grown_good, grown_bad]) in sums {
                *good += more_good;
                *bad += more_bad;
                grown_good.look(grown_good.total() + more_good, now);
                grown_bad.look(grown_bad.total() + more_bad, now);
            }
        }
    }

    pub(super) fn reset(&mut self) {
        for of_address in self.0.values_mut() {
            of_address.grown.iter_mut().flatten().for_each(Grown::reset);
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
        let of = |address: &str| self.0.get(address).unwrap_or(&zero);
        let all: Vec<&OfAddress> = {
            let mut once = addresses.clone();
            once.sort_unstable();
            once.dedup();
            once.into_iter().map(of).collect()
        };
        let mut targets = json!({});
        for address in &addresses {
            put(&mut targets, address, outbound(&[of(address)], now));
        }
        put(&mut targets, RESPONSES, outbound(&[&zero], now));
        let inbound = || INBOUND.into_iter().map(|name| (name.to_owned(), counters(&[], &[], now)));
        let inbound = || Value::Object(inbound().collect());
        let mut of_sources = json!({});
        for source in sources {
            put(&mut of_sources, source, inbound());
        }
        let has_sources = !sources.is_empty();
        let contains_failures = all.iter().flat_map(|it| &it.grown).any(|[_, bad]| bad.since_reset() > 0);
        json!({
            "connectionMetrics": {
                "inbound": has_sources.then(inbound), "outbound": outbound(&all, now),
            },
            "containsFailures": contains_failures,
            "sourceMetrics": { "addressMetrics": has_sources.then_some(of_sources) },
            "targetMetrics": { "addressMetrics": targets },
        })
    }
}

/// Of a connection that does not run.
pub(super) fn resting() -> Value {
    json!({
        "connectionMetrics": { "inbound": null, "outbound": null }, "containsFailures": false,
        "sourceMetrics": { "addressMetrics": null }, "targetMetrics": { "addressMetrics": null },
    })
}

/// Targets with one address count as one.
fn totals(compiled: &CompiledConnection) -> BTreeMap<String, Totals> {
    let mut totals: BTreeMap<String, Totals> = BTreeMap::new();
    for target in compiled.targets() {
        let counts = target.counters().snapshot();
        let of_address = totals.entry(target.address_text().to_owned()).or_default();
        for (step, [good, bad]) in Step::ALL.into_iter().zip(of_address) {
            let [more_good, more_bad] = counts.of_step(step);
            *good += more_good;
            *bad += more_bad;
        }
    }
    totals
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
