//! Medians and spreads.

use std::collections::BTreeMap;

use serde_json::json;

use super::neighbour::Latency;
use super::spread::Spread;
use super::usage::Usage;

/// The runs of a benchmark.
#[derive(Debug)]
pub(super) struct Report {
    name: &'static str,
    /// The raw loop, then ours, then others.
    roles: Vec<&'static str>,
    records: usize,
    bytes: usize,
    runs: BTreeMap<&'static str, Vec<Usage>>,
    allocations: BTreeMap<&'static str, u64>,
}

impl Report {
    pub(super) fn new(name: &'static str, roles: Vec<&'static str>, records: usize, bytes: usize) -> Self {
        Self { name, roles, records, bytes, runs: BTreeMap::new(), allocations: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, role: &'static str, usage: Usage) {
        self.runs.entry(role).or_default().push(usage);
    }

    pub(super) fn add_allocations(&mut self, role: &'static str, allocations: Option<u64>) {
        if let Some(allocations) = allocations {
            self.allocations.insert(role, allocations);
        }
    }

    fn ours(&self) -> &'static str {
        self.roles.get(1).copied().unwrap_or_default()
    }

    fn runs(&self, role: &str) -> &[Usage] {
        self.runs.get(role).map_or(&[], Vec::as_slice)
    }

    fn per_million(&self, role: &str) -> Spread {
        let millions = self.records as f64 / 1e6;
        Spread::of(self.runs(role).iter().map(|run| run.cpu_seconds / millions))
    }

    fn rate(&self, role: &str) -> Spread {
        Spread::of(self.runs(role).iter().map(|run| self.records as f64 / run.seconds))
    }

    /// Of each round, since the machine may change between rounds.
    fn ratio(&self, role: &str) -> Spread {
        let pairs = self.runs(role).iter().zip(self.runs("raw"));
        Spread::of(pairs.map(|(ours, raw)| ours.cpu_seconds / raw.cpu_seconds))
    }

    fn memory(&self, role: &str) -> f64 {
        Spread::of(self.runs(role).iter().map(|run| run.peak_rss as f64 / f64::from(1 << 20))).median
    }

    /// Beyond those of the raw loop: rdkafka makes a C string of each topic name.
    fn allocations_per_record(&self) -> Option<f64> {
        let (ours, raw) = (self.allocations.get(self.ours())?, self.allocations.get("raw")?);
        Some((*ours as f64 - *raw as f64) / self.records as f64)
    }

    pub(super) fn json(&self) -> String {
        let ours = self.ratio(self.ours());
        let of = |role: &str| {
            let (cpu, rate) = (self.per_million(role), self.rate(role));
            json!({
                "cpu_seconds_per_million": cpu.median, "cpu_min": cpu.min, "cpu_max": cpu.max,
                "records_per_second": rate.median.round(), "peak_rss_mib": self.memory(role).round(),
            })
        };
        let mut json = json!({
            "bench": self.name, "cpu_ratio": ours.median, "cpu_ratio_min": ours.min, "cpu_ratio_max": ours.max,
            "allocations_per_record": self.allocations_per_record(),
            "records": self.records, "message_bytes": self.bytes, "pairs": self.runs("raw").len(),
        });
        if let Some(members) = json.as_object_mut() {
            for role in &self.roles {
                members.insert((*role).to_owned(), of(role));
            }
            for other in self.roles.iter().skip(2) {
                members.insert(format!("{other}_cpu_ratio"), self.ratio(other).median.into());
            }
        }
        json.to_string()
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "{}: {} records of {} bytes on average, {} rounds; median (least–largest)\n\
             {:<8} {:>22} {:>12} {:>10} {:>20}\n",
            self.name,
            self.records,
            self.bytes,
            self.runs("raw").len(),
            "",
            "CPU-s per million",
            "records/s",
            "peak MiB",
            "CPU ratio to raw"
        );
        for role in self.roles.iter().copied() {
            text.push_str(&format!(
                "{role:<8} {:>22} {:>12.0} {:>10.0} {:>20}\n",
                self.per_million(role).rounded(2),
                self.rate(role).median,
                self.memory(role),
                self.ratio(role).rounded(2)
            ));
        }
        if let Some(allocations) = self.allocations_per_record() {
            text.push_str(&format!(
                "allocations of the service beyond the raw loop: {allocations:.2} a record\n"
            ));
        }
        text
    }
}

/// Alone, beside, and the ratio of each round, of what `part` takes from a latency.
fn neighbours(latencies: &[(Latency, Latency)], part: fn(&Latency) -> f64) -> [Spread; 3] {
    [
        Spread::of(latencies.iter().map(|(alone, _)| part(alone))),
        Spread::of(latencies.iter().map(|(_, beside)| part(beside))),
        Spread::of(latencies.iter().map(|(alone, beside)| part(beside) / part(alone))),
    ]
}

fn median_ms(latency: &Latency) -> f64 {
    latency.median.as_secs_f64() * 1e3
}

fn p99_ms(latency: &Latency) -> f64 {
    latency.p99.as_secs_f64() * 1e3
}

pub(super) fn neighbour_json(beside: &str, latencies: &[(Latency, Latency)]) -> String {
    let [alone, with_other, ratio] = neighbours(latencies, p99_ms);
    json!({
        "bench": "neighbour", "beside": beside, "p99_ratio": ratio.median, "p99_ratio_min": ratio.min, "p99_ratio_max": ratio.max,
        "p99_alone_ms": alone.median, "p99_beside_ms": with_other.median, "pairs": latencies.len(),
    })
    .to_string()
}

pub(super) fn neighbour_table(beside: &str, latencies: &[(Latency, Latency)]) -> String {
    let mut text = format!(
        "neighbour: latency of a connection alone and beside {beside}, {} rounds; median (least–largest)\n\
         {:<8} {:>22} {:>22} {:>20}\n",
        latencies.len(),
        "",
        "alone, ms",
        "beside, ms",
        "ratio"
    );
    for (name, part) in [("median", median_ms as fn(&Latency) -> f64), ("p99", p99_ms)] {
        let [alone, with_other, ratio] = neighbours(latencies, part).map(|spread| spread.rounded(2));
        text.push_str(&format!("{name:<8} {alone:>22} {with_other:>22} {ratio:>20}\n"));
    }
    text
}
