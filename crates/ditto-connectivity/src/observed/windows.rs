//! How much of a total came within the last minute, hour and day.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::instant;

/// A total as it grew. Nothing is done for it where it is counted: it is looked at from time to time.
#[derive(Debug, Clone, Default)]
pub(super) struct Grown {
    total: u64,
    /// The total when counting began anew.
    base: u64,
    last_at: Option<SystemTime>,
    spans: [Span; 3],
}

/// The totals at the ends of the slots of a span, the oldest first.
#[derive(Debug, Clone, Default)]
struct Span(VecDeque<(SystemTime, u64)>);

/// Name, slot and length of each span (status-metrics-logs.md §4).
const SPANS: [(&str, Duration, Duration); 3] = [
    ("PT1M", Duration::from_secs(10), Duration::from_secs(60)),
    ("PT1H", Duration::from_secs(60), Duration::from_secs(3_600)),
    ("PT24H", Duration::from_secs(3_600), Duration::from_secs(24 * 3_600)),
];

impl Grown {
    /// The total is this much now.
    pub(super) fn look(&mut self, total: u64, now: SystemTime) {
        for (span, (_, slot, length)) in self.spans.iter_mut().zip(SPANS) {
            span.close(self.total, now, slot, length);
        }
        if total > self.total {
            self.last_at = Some(now);
        }
        self.total = total;
    }

    /// Whether anything was counted since counting began anew.
    pub(super) fn is_any(&self) -> bool {
        self.total > self.base
    }

    /// Counts from here. When the last one came is kept, as in the reference.
    pub(super) fn reset(&mut self) {
        self.base = self.total;
        self.spans = Default::default();
    }

    /// `{"PT1M", "PT1H", "PT24H", "lastMessageAt"}` of several together.
    pub(super) fn to_json(all: &[&Self], now: SystemTime) -> Value {
        let mut json = json!({});
        for (n, (name, _, length)) in SPANS.into_iter().enumerate() {
            let within = |grown: &&Self| {
                let before = grown.spans.get(n).and_then(|span| span.before(now, length));
                grown.total - before.unwrap_or(grown.base).clamp(grown.base, grown.total)
            };
            put(&mut json, name, all.iter().map(within).sum::<u64>().into());
        }
        let last = all.iter().filter_map(|grown| grown.last_at).max();
        put(&mut json, "lastMessageAt", last.map(instant).into());
        json
    }
}

impl Span {
    /// Notes the total that there was until now, once a slot has passed since the last note.
    fn close(&mut self, total: u64, now: SystemTime, slot: Duration, length: Duration) {
        let passed = |since: SystemTime| now.duration_since(since).unwrap_or_default();
        if self.0.back().is_none_or(|(last, _)| passed(*last) >= slot) {
            self.0.push_back((now, total));
        }
        // One note from before the span is what it is compared with.
        while self.0.get(1).is_some_and(|(next, _)| passed(*next) >= length) {
            self.0.pop_front();
        }
    }

    /// The total when the span began; none if it was not counted then.
    fn before(&self, now: SystemTime, length: Duration) -> Option<u64> {
        let is_before = |since: SystemTime| now.duration_since(since).unwrap_or_default() >= length;
        self.0.iter().rev().find(|(at, _)| is_before(*at)).map(|(_, total)| *total)
    }
}

pub(super) fn put(json: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = json {
        members.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
    }

    fn within(grown: &Grown, now: u64) -> [u64; 3] {
        let json = Grown::to_json(&[grown], at(now));
        ["PT1M", "PT1H", "PT24H"].map(|name| json[name].as_u64().unwrap())
    }

    #[test]
    fn what_is_old_leaves_its_span() {
        let mut grown = Grown::default();
        grown.look(0, at(0));
        assert_eq!(Grown::to_json(&[&grown], at(0))["lastMessageAt"], Value::Null);
        grown.look(5, at(1));
        assert_eq!(within(&grown, 1), [5, 5, 5]);
        for second in 2..100 {
            grown.look(5, at(second));
        }
        assert_eq!(within(&grown, 100), [0, 5, 5]);
        grown.reset();
        assert_eq!(within(&grown, 100), [0, 0, 0]);
        assert_eq!(Grown::to_json(&[&grown], at(100))["lastMessageAt"], instant(at(1)));
        grown.look(7, at(101));
        assert_eq!(within(&grown, 101), [2, 2, 2]);
    }

    proptest! {
        /// Compared with every single count: at most a slot too much or too little.
        #[test]
        fn spans_are_right_but_for_a_slot(steps in prop::collection::vec((1_u64..40, 0_u64..5), 1..300)) {
            let (mut grown, mut now, mut total, mut all) = (Grown::default(), 0, 0, Vec::new());
            for (pause, more) in steps {
                // It is looked at each second.
                for _ in 0..pause {
                    now += 1;
                    grown.look(total, at(now));
                }
                total += more;
                all.push((now, more));
                grown.look(total, at(now));
            }
            for (n, (_, slot, length)) in SPANS.into_iter().enumerate() {
                let since = |seconds: u64| all.iter().filter(|(at, _)| now - at < seconds).map(|(_, n)| n).sum::<u64>();
                let found = within(&grown, now)[n];
                let (slot, length) = (slot.as_secs(), length.as_secs());
                prop_assert!(since(length) <= found + since(0) && found <= since(length + slot + 1), "{n}: {found}");
            }
        }
    }
}
