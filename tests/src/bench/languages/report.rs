//! What came out, and which bars were missed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::operations::EVENT;
use super::super::spread::Spread;
use super::growth;

/// What the ratios are to.
const PARSE: &str = "value-parse";
/// May cost no more than a parse.
const CHEAPER: [&str; 2] = ["evaluate", "could-match"];
/// Was done when the template was read, so it may take no more than this of a parse.
const FOLDED: (&str, f64) = ("resolve-constant", 0.01);
/// May allocate nothing.
const WITHOUT_MEMORY: [&str; 4] = ["evaluate", "could-match", "resolve-address", "resolve-constant"];

/// The rounds.
#[derive(Debug)]
pub(super) struct Report {
    /// In order, with the processor seconds of each round.
    times: Vec<(&'static str, Vec<f64>)>,
    /// Of each operation.
    allocations: BTreeMap<String, f64>,
    /// Of each operation, if somebody asked.
    instructions: BTreeMap<&'static str, f64>,
    /// Time with four times the input, to the time with the input, of each round.
    growths: Vec<(&'static str, Vec<f64>)>,
}

impl Report {
    pub(super) fn new(allocations: BTreeMap<String, f64>) -> Self {
        Self { times: Vec::new(), allocations, instructions: BTreeMap::new(), growths: Vec::new() }
    }

    pub(super) fn add(&mut self, name: &'static str, seconds: f64) {
        add(&mut self.times, name, seconds);
    }

    pub(super) fn add_growth(&mut self, name: &'static str, ratio: f64) {
        add(&mut self.growths, name, ratio);
    }

    pub(super) fn add_instructions(&mut self, name: &'static str, instructions: f64) {
        self.instructions.insert(name, instructions);
    }

    fn seconds(&self, name: &str) -> &[f64] {
        let found = self.times.iter().find(|(known, _)| *known == name);
        found.map_or(&[], |(_, seconds)| seconds.as_slice())
    }

    /// Of each round, since the machine may change between rounds.
    fn ratio(&self, name: &str) -> Spread {
        let pairs = self.seconds(name).iter().zip(self.seconds(PARSE));
        Spread::of(pairs.map(|(seconds, parse)| seconds / parse))
    }

    fn nanoseconds(&self, name: &str) -> Spread {
        Spread::of(self.seconds(name).iter().map(|seconds| seconds * 1e9))
    }

    /// Bars that were not reached; what was not measured has missed its bar.
    pub(super) fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        let mut check = |holds: bool, text: String| {
            if !holds {
                missed.push(text);
            }
        };
        for name in CHEAPER {
            let ratio = self.ratio(name).median;
            check(ratio < 1.0, format!("{name} takes {ratio:.2} times as long as {PARSE}"));
        }
        let (name, most) = FOLDED;
        let ratio = self.ratio(name).median;
        check(ratio < most, format!("{name} takes {ratio:.4} times as long as {PARSE}"));
        for name in WITHOUT_MEMORY {
            let allocations = self.allocations.get(name);
            check(allocations == Some(&0.0), format!("{name} allocates {allocations:?} times"));
        }
        for (name, ratios) in &self.growths {
            let ratio = Spread::of(ratios.iter().copied()).median;
            check(
                ratio < growth::MOST,
                format!("{name} takes {ratio:.1} times as long with four times the input"),
            );
        }
        missed
    }

    pub(super) fn json(&self) -> String {
        let operations = self.times.iter().map(|(name, _)| {
            let (time, ratio) = (self.nanoseconds(name), self.ratio(name));
            let measured = json!({
                "cpu_ns": time.median, "cpu_ns_min": time.min, "cpu_ns_max": time.max,
                "ratio": ratio.median, "ratio_min": ratio.min, "ratio_max": ratio.max,
                "allocations": self.allocations.get(*name), "instructions": self.instructions.get(name),
            });
            ((*name).to_owned(), measured)
        });
        let growths = self.growths.iter().map(|(name, ratios)| {
            let ratio = Spread::of(ratios.iter().copied());
            (
                (*name).to_owned(),
                json!({ "ratio": ratio.median, "ratio_min": ratio.min, "ratio_max": ratio.max }),
            )
        });
        json!({
            "bench": "languages", "message_bytes": EVENT.len(), "pairs": self.seconds(PARSE).len(),
            "operations": operations.collect::<serde_json::Map<String, Value>>(),
            "growths": growths.collect::<serde_json::Map<String, Value>>(),
            "missed": self.missed(),
        })
        .to_string()
    }

    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "languages: an event of {} bytes, {} rounds; median (least–largest)\n\
             {:<20} {:>22} {:>22} {:>12} {:>12}\n",
            EVENT.len(),
            self.seconds(PARSE).len(),
            "",
            "CPU ns",
            "ratio to value-parse",
            "allocations",
            "instructions"
        );
        for (name, _) in &self.times {
            let allocations =
                self.allocations.get(*name).map_or("?".to_owned(), |count| format!("{count:.0}"));
            let instructions =
                self.instructions.get(name).map_or("-".to_owned(), |count| format!("{count:.0}"));
            text.push_str(&format!(
                "{name:<20} {:>22} {:>22} {allocations:>12} {instructions:>12}\n",
                self.nanoseconds(name).rounded(0),
                self.ratio(name).rounded(3),
            ));
        }
        text.push_str(
            "CPU time with four times the input, to that with the input: 4 is linear, 16 quadratic\n",
        );
        for (name, ratios) in &self.growths {
            text.push_str(&format!("{name:<20} {:>22}\n", Spread::of(ratios.iter().copied()).rounded(2)));
        }
        text
    }
}

fn add(to: &mut Vec<(&'static str, Vec<f64>)>, name: &'static str, value: f64) {
    match to.iter_mut().find(|(known, _)| *known == name) {
        Some((_, values)) => values.push(value),
        None => to.push((name, vec![value])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(evaluate: f64, growth: f64, allocations: f64) -> Report {
        let allocations = WITHOUT_MEMORY.iter().map(|name| ((*name).to_owned(), allocations)).collect();
        let mut report = Report::new(allocations);
        for (name, seconds) in [(PARSE, 2.0), ("evaluate", evaluate), ("could-match", 1.0), (FOLDED.0, 0.01)]
        {
            report.add(name, seconds);
        }
        report.add_growth("some", growth);
        report
    }

    #[test]
    fn bars_are_missed_by_time_memory_and_growth() {
        assert_eq!(report(1.0, 4.0, 0.0).missed(), [""; 0]);
        assert_eq!(report(2.0, 4.0, 0.0).missed(), ["evaluate takes 1.00 times as long as value-parse"]);
        assert_eq!(
            report(1.0, 16.0, 0.0).missed(),
            ["some takes 16.0 times as long with four times the input"]
        );
        assert_eq!(report(1.0, 4.0, 1.0).missed().len(), WITHOUT_MEMORY.len());
        assert_eq!(Report::new(BTreeMap::new()).missed().len(), CHEAPER.len() + 1 + WITHOUT_MEMORY.len());
    }
}
