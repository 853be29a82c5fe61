//! Compares what came out with what was written.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::driver::Sent;
use super::oracle::{Signal, Target};
use crate::topics::Consumed;

/// What is wrong with the records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Signals × targets that did not come out.
    pub lost: usize,
    /// Records that nobody wrote, that were not to be read, or that say something else.
    pub phantom: usize,
    /// Records of one thing in one partition that came for the first time after a later one.
    pub reordered: usize,
    /// Records that came again.
    pub duplicates: usize,
    /// What was found, in sentences.
    #[serde(skip)]
    pub findings: Vec<String>,
}

impl Verdict {
    /// Judges the records of a target, partition by partition in the order of offsets.
    pub(super) fn add(&mut self, sent: &Sent, target: Target, records: &[Consumed], name: &str) {
        let mut seen = BTreeMap::<Signal, usize>::new();
        let mut latest = BTreeMap::<(i32, usize), u64>::new();
        for record in records {
            let at = format!("{}[{}]@{}", target.topic(name), record.partition, record.offset);
            let Some(signal) = written(sent, target, record) else {
                self.phantom += 1;
                self.findings.push(format!("{at}: nobody wrote {} so", record.header("correlation-id")));
                continue;
            };
            let times = seen.entry(signal).or_default();
            *times += 1;
            if *times > 1 {
                self.duplicates += 1;
                continue;
            }
            // A bare topic spreads a thing over partitions: after a crash its turns begin elsewhere.
            let last = latest.entry((record.partition, signal.thing)).or_default();
            if target != Target::Bare && signal.revision < *last {
                self.reordered += 1;
                self.findings.push(format!(
                    "{at}: revision {} of thing {} after {last}",
                    signal.revision, signal.thing
                ));
            }
            *last = signal.revision.max(*last);
        }
        for signal in sent.acknowledged.iter().filter(|signal| signal.is_readable()) {
            if !seen.contains_key(signal) {
                self.lost += 1;
                self.findings.push(format!("{}: {signal:?} is lost", target.topic(name)));
            }
        }
    }
}

/// The signal of a record that is as it must be.
fn written(sent: &Sent, target: Target, record: &Consumed) -> Option<Signal> {
    let signal = Signal::of_correlation_id(&record.header("correlation-id"))?;
    let is_known = sent.acknowledged.contains(&signal) || sent.unknown.contains(&signal);
    let due = signal.due(sent.seed, target);
    let headers: Vec<(String, String)> = record
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned()))
        .collect();
    let value: Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
    let is_equal = due.key == record.key.as_ref().map(|_| record.key_text())
        && due.partition.is_none_or(|partition| partition == record.partition)
        && due.headers == headers
        && due.value == value;
    (is_known && signal.is_readable() && is_equal).then_some(signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(signal: Signal, target: Target, offset: i64) -> Consumed {
        let due = signal.due(1, target);
        Consumed {
            partition: due.partition.unwrap_or(0),
            offset,
            headers: due.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
            key: due.key.map(String::into_bytes),
            value: Some(due.value.to_string().into_bytes()),
        }
    }

    /// Each fault that the judge is for, planted.
    #[test]
    fn what_is_wrong_is_found() {
        let signals: Vec<Signal> = (1..=4).map(|revision| Signal { thing: 3, revision }).collect();
        let sent = Sent { seed: 1, acknowledged: signals.iter().copied().collect(), ..Sent::default() };
        let judged = |order: &[usize], change: fn(&mut Consumed)| {
            let mut records: Vec<_> = order.iter().map(|at| record(signals[*at], Target::Key, 0)).collect();
            records.last_mut().into_iter().for_each(change);
            let mut verdict = Verdict::default();
            verdict.add(&sent, Target::Key, &records, "t");
            [verdict.lost, verdict.phantom, verdict.reordered, verdict.duplicates]
        };
        assert_eq!(judged(&[0, 1, 2, 3], |_| ()), [0, 0, 0, 0]);
        assert_eq!(judged(&[0, 1, 3], |_| ()), [1, 0, 0, 0]);
        assert_eq!(judged(&[0, 1, 2, 3, 2, 3], |_| ()), [0, 0, 0, 2]);
        assert_eq!(judged(&[0, 2, 1, 3], |_| ()), [0, 0, 1, 0]);
        assert_eq!(judged(&[0, 1, 2, 3], |last| last.value = Some(b"{}".to_vec())), [1, 1, 0, 0]);
        assert_eq!(judged(&[0, 1, 2, 3], |last| last.key = None), [1, 1, 0, 0]);
        assert_eq!(judged(&[0, 1, 2, 3], |last| last.headers.clear()), [1, 1, 0, 0]);
        let unreadable = Signal { thing: 3, revision: 7 };
        let sent = Sent { seed: 1, acknowledged: [unreadable].into(), ..Sent::default() };
        let mut verdict = Verdict::default();
        verdict.add(&sent, Target::Key, &[record(unreadable, Target::Key, 0)], "t");
        assert_eq!((verdict.lost, verdict.phantom), (0, 1));
    }
}
