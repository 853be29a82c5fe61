//! When a source that is in trouble is asked again.

use std::time::{Duration, Instant};

/// Shut while a source rests. After that one question goes first, to see whether it answers.
#[derive(Debug)]
pub(super) struct Gate {
    /// When it was shut last, and for how long.
    closed: Option<(Instant, Instant)>,
    failures: u32,
    why: String,
    seed: u64,
}

/// The first pause, and the longest.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// The longest pause that a source may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60);

impl Default for Gate {
    fn default() -> Self {
        Self { closed: None, failures: 0, why: String::new(), seed: 0x9E37_79B9_7F4A_7C15 }
    }
}

impl Gate {
    /// When it opens again.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        self.closed.map(|(_, until)| until).filter(|until| *until > now)
    }

    /// How many questions may be open at a time.
    pub(super) fn limit(&self, concurrency: usize) -> usize {
        if self.failures > 0 { 1 } else { concurrency }
    }

    /// Why it was shut, until it answers.
    pub(super) fn trouble(&self) -> Option<&str> {
        (self.failures > 0).then_some(self.why.as_str())
    }

    /// The source has answered.
    pub(super) fn open(&mut self) {
        self.failures = 0;
        self.closed = None;
    }

    /// The source does not answer anybody, or wants a pause.
    pub(super) fn close(
        &mut self,
        asked_at: Instant,
        retry_after: Option<Duration>,
        why: &str,
        now: Instant,
    ) {
        why.clone_into(&mut self.why);
        // Many questions were open when it failed; that is one failure.
        if self.closed.is_none_or(|(since, _)| asked_at >= since) {
            self.failures = self.failures.saturating_add(1);
        }
        let pause = self.pause(self.failures).max(asked_for(retry_after));
        let until = now.checked_add(pause).unwrap_or(now);
        let until = self.closed.map_or(until, |(_, before)| before.max(until));
        self.closed = Some((now, until));
    }

    /// How long to wait after so many failures: twice as long each time, and between half of that and all.
    pub(super) fn pause(&mut self, failures: u32) -> Duration {
        let whole = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST);
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let part = u32::try_from(self.seed % 512).unwrap_or_default();
        whole / 2 + whole / 1024 * part
    }
}

/// The pause that a source asks for, within reason.
pub(super) fn asked_for(retry_after: Option<Duration>) -> Duration {
    retry_after.unwrap_or_default().min(LONGEST_ASKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ() {
        let mut gate = Gate::default();
        for (failures, least, most) in [(1, 50, 100), (2, 100, 200), (4, 400, 800), (30, 2_500, 5_000)] {
            let pauses: Vec<_> = (0..32).map(|_| gate.pause(failures)).collect();
            let range = Duration::from_millis(least)..=Duration::from_millis(most);
            assert!(pauses.iter().all(|pause| range.contains(pause)), "{failures}: {pauses:?}");
            assert!(pauses.windows(2).any(|two| two[0] != two[1]));
        }
    }

    #[test]
    fn failures_of_the_same_moment_are_one() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut gate = Gate::default();
        assert_eq!((gate.limit(8), gate.trouble()), (8, None));
        for _ in 0..8 {
            gate.close(start, None, "refused", at(10));
        }
        assert_eq!((gate.limit(8), gate.failures, gate.trouble()), (1, 1, Some("refused")));
        assert!(gate.closed_until(at(10)).is_some_and(|until| until <= at(110)));
        assert_eq!(gate.closed_until(at(200)), None);
        // A pause that was asked for is kept, and not cut short by a late failure.
        gate.close(at(200), Some(Duration::from_secs(7)), "429", at(210));
        gate.close(at(205), None, "refused", at(220));
        assert_eq!(gate.closed_until(at(220)), Some(at(7_210)));
        gate.open();
        assert_eq!((gate.limit(8), gate.closed_until(at(220)), gate.trouble()), (8, None, None));
    }
}
