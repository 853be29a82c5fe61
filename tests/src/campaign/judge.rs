//! Compares what came out with what was written.

use std::collections::BTreeMap;

use serde::Serialize;

use super::driver::Sent;
use super::work::{Fate, Signal, Work};
use crate::topics::Consumed;

/// What is wrong with the records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Records that did not come out.
    pub lost: usize,
    /// Records of signals that nobody wrote, or that were not to come out there.
    pub phantom: usize,
    /// Records that say something else than is due; what is due is lost, unless it is there as well.
    pub unequal: usize,
    /// Records of one thing in one partition that came for the first time after a later one, or in another partition.
    pub reordered: usize,
    /// Records that came again.
    pub duplicates: usize,
    /// What was found, in sentences.
    #[serde(skip)]
    pub findings: Vec<String>,
}

/// What a record is.
enum Found {
    Due(Signal, usize),
    Nobodys,
    Unequal(&'static str),
}

impl Verdict {
    /// Whether nothing was lost, invented, changed or turned round. What came again is another question.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.lost + self.phantom + self.unequal + self.reordered == 0
    }

    /// Judges the records of a target, partition by partition in the order of offsets.
    pub(super) fn add(
        &mut self,
        work: &dyn Work,
        sent: &Sent,
        target: usize,
        records: &[Consumed],
        topic: &str,
    ) {
        let mut seen = BTreeMap::<(Signal, usize), usize>::new();
        let mut latest = BTreeMap::<(i32, usize), (u64, usize)>::new();
        let mut homes = BTreeMap::<usize, i32>::new();
        for record in records {
            let at = format!("{topic}[{}]@{}", record.partition, record.offset);
            let (signal, part) = match found(work, sent, target, record) {
                Found::Due(signal, part) => (signal, part),
                Found::Nobodys => {
                    self.phantom += 1;
                    let of = record.header("correlation-id");
                    self.findings.push(format!("{at}: `{of}` was not written, or is not due here"));
                    continue;
                }
                Found::Unequal(what) => {
                    self.unequal += 1;
                    let of = record.header("correlation-id");
                    let payload: String = record.value_text().chars().take(2_000).collect();
                    let headers: Vec<String> = record
                        .headers
                        .iter()
                        .map(|(name, _)| format!("{name}={}", record.header(name)))
                        .collect();
                    self.findings.push(format!(
                        "{at}: the {what} of `{of}` is not as it is due: {headers:?} {payload}"
                    ));
                    continue;
                }
            };
            let times = seen.entry((signal, part)).or_default();
            *times += 1;
            if *times > 1 {
                self.duplicates += 1;
                continue;
            }
            if work.spreads(target) {
                continue;
            }
            let last = latest.entry((record.partition, signal.thing)).or_default();
            let home = *homes.entry(signal.thing).or_insert(record.partition);
            if (signal.revision, part) < *last || home != record.partition {
                self.reordered += 1;
                self.findings.push(format!(
                    "{at}: record {part} of revision {} of thing {} after {last:?}; the thing is in partition {home}",
                    signal.revision, signal.thing
                ));
            }
            *last = (signal.revision, part).max(*last);
        }
        for signal in &sent.acknowledged {
            for part in 0..work.fate(target, *signal).records().len() {
                if !seen.contains_key(&(*signal, part)) {
                    self.lost += 1;
                    self.findings.push(format!("{topic}: record {part} of {signal:?} is lost"));
                }
            }
        }
    }
}

impl Verdict {
    /// Judges dead letters: each signal that fails at a target has one, as it must be, and nothing else has.
    pub(super) fn add_letters(&mut self, work: &dyn Work, sent: &Sent, records: &[Consumed], topic: &str) {
        let mut seen = BTreeMap::<(Signal, usize), usize>::new();
        for record in records {
            let at = format!("{topic}[{}]@{}", record.partition, record.offset);
            let of = serde_json::from_str::<serde_json::Value>(&record.value_text()).ok();
            let of = of.and_then(|of| of["headers"]["correlation-id"].as_str().map(str::to_owned));
            let signal = of.as_deref().and_then(Signal::of_correlation_id);
            let signal = signal.filter(|it| sent.acknowledged.contains(it) || sent.unknown.contains(it));
            let target = record.header("ditto-dead-letter-target");
            let due = signal.map(|signal| (signal, work.letters(signal).unwrap_or_default()));
            let due = due.and_then(|(signal, letters)| {
                let letter = letters.into_iter().find(|letter| letter.target.to_string() == target)?;
                Some((signal, letter))
            });
            let Some((signal, letter)) = due else {
                self.phantom += 1;
                self.findings.push(format!("{at}: no letter of `{of:?}` for target {target} is due"));
                continue;
            };
            if let Some(what) = letter.difference(signal, record) {
                self.unequal += 1;
                let payload: String = record.value_text().chars().take(2_000).collect();
                self.findings.push(format!("{at}: the {what} of {signal:?} is not as it is due: {payload}"));
                continue;
            }
            let times = seen.entry((signal, letter.target)).or_default();
            *times += 1;
            self.duplicates += usize::from(*times > 1);
        }
        for signal in &sent.acknowledged {
            for letter in work.letters(*signal).unwrap_or_default() {
                if !seen.contains_key(&(*signal, letter.target)) {
                    self.lost += 1;
                    self.findings
                        .push(format!("{topic}: the letter of {signal:?} for {} is lost", letter.target));
                }
            }
        }
    }
}

/// What a record is, by what must come out of its signal.
fn found(work: &dyn Work, sent: &Sent, target: usize, record: &Consumed) -> Found {
    let signal = Signal::of_correlation_id(&record.header("correlation-id"));
    let written = signal.filter(|signal| sent.acknowledged.contains(signal) || sent.unknown.contains(signal));
    let Some(signal) = written else { return Found::Nobodys };
    let part = work.part(record);
    match work.fate(target, signal) {
        Fate::Published(due) => match due.get(part).map(|due| due.difference(record)) {
            Some(None) => Found::Due(signal, part),
            Some(Some(what)) => Found::Unequal(what),
            None => Found::Nobodys,
        },
        Fate::Unselected | Fate::Dropped(_) | Fate::Failed(_) => Found::Nobodys,
    }
}

#[cfg(test)]
mod tests {
    use super::super::oracle::Plain;
    use super::super::work::{Due, Payload};
    use super::*;

    const PLAIN: Plain = Plain { seed: 1 };

    fn record(due: Due, offset: i64) -> Consumed {
        let value = match due.payload {
            Payload::Text(text) => text,
            Payload::Json { value, .. } => value.to_string(),
        };
        Consumed {
            partition: due.partition.unwrap_or(0),
            offset,
            headers: due.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
            key: due.key.map(String::into_bytes),
            value: Some(value.into_bytes()),
        }
    }

    /// Each fault that the judge is for, planted.
    #[test]
    fn what_is_wrong_is_found() {
        let signals: Vec<Signal> = (1..=4).map(|revision| Signal { thing: 3, revision }).collect();
        let sent = Sent { acknowledged: signals.iter().copied().collect(), ..Sent::default() };
        let numbers = |verdict: &Verdict| {
            let Verdict { lost, phantom, unequal, reordered, duplicates, .. } = *verdict;
            [lost, phantom, unequal, reordered, duplicates]
        };
        let judged = |order: &[usize], change: fn(&mut Consumed)| {
            let mut records: Vec<_> = order.iter().map(|at| record(PLAIN.due(0, signals[*at]), 0)).collect();
            records.last_mut().into_iter().for_each(change);
            let mut verdict = Verdict::default();
            verdict.add(&PLAIN, &sent, 0, &records, "t");
            assert_eq!(verdict.is_right(), numbers(&verdict)[..4] == [0; 4]);
            numbers(&verdict)
        };
        assert_eq!(judged(&[0, 1, 2, 3], |_| ()), [0, 0, 0, 0, 0]);
        assert_eq!(judged(&[0, 1, 3], |_| ()), [1, 0, 0, 0, 0]);
        assert_eq!(judged(&[0, 1, 2, 3, 2, 3], |_| ()), [0, 0, 0, 0, 2]);
        assert_eq!(judged(&[0, 2, 1, 3], |_| ()), [0, 0, 0, 1, 0]);
        assert_eq!(judged(&[0, 1, 2, 3], |last| last.partition = 1), [0, 0, 0, 1, 0]);
        assert_eq!(judged(&[0, 1, 2, 3], |last| last.value = Some(b"{}".to_vec())), [1, 0, 1, 0, 0]);
        assert_eq!(judged(&[0, 1, 2, 3], |last| last.key = None), [1, 0, 1, 0, 0]);
        assert_eq!(judged(&[0, 1, 2, 3], |last| last.headers.reverse()), [1, 0, 1, 0, 0]);
        assert_eq!(judged(&[0, 1, 2, 3], |last| last.headers.clear()), [1, 1, 0, 0, 0]);
        let unreadable = Signal { thing: 3, revision: 7 };
        let sent = Sent { acknowledged: [unreadable].into(), ..Sent::default() };
        let mut verdict = Verdict::default();
        verdict.add(&PLAIN, &sent, 0, &[record(PLAIN.due(0, unreadable), 0)], "t");
        assert_eq!(numbers(&verdict), [0, 1, 0, 0, 0]);
    }
}
