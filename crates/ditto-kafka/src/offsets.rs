//! Which offset may be committed.

use std::collections::VecDeque;

/// The records of one partition between the last commit and the newest one handed out.
///
/// Records are handed out in the order of their offsets and settle in any order. The watermark is the offset below which
/// everything has settled; gaps between offsets (compaction, transactions) are none of its business.
#[derive(Debug, Clone)]
pub struct OffsetTracker {
    /// Everything below has settled.
    watermark: i64,
    /// The offset after the newest record handed out.
    next: i64,
    /// From the watermark up, in the order of offsets; the first one has not settled.
    open: VecDeque<Entry>,
    /// Settled below the watermark, and no commit was asked for since.
    uncommitted: Span,
    /// A commit was asked for, and has not been answered.
    requested: Span,
    /// The offset that was asked for last, unless that failed.
    last_request: Option<i64>,
    /// In `open`.
    pending: Span,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: i64,
    bytes: usize,
    is_settled: bool,
}

/// An extent of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Number of records.
    pub records: usize,
    /// Their size in bytes.
    pub bytes: usize,
}

impl OffsetTracker {
    /// A tracker of a partition whose next record is that of `start`.
    #[must_use]
    pub fn new(start: i64) -> Self {
        Self {
            watermark: start,
            next: start,
            open: VecDeque::new(),
            uncommitted: Span::default(),
            requested: Span::default(),
            last_request: None,
            pending: Span::default(),
        }
    }

    /// A record is handed out. One whose offset was handed out before is refused.
    pub fn track(&mut self, offset: i64, bytes: usize) -> bool {
        if offset < self.next {
            return false;
        }
        self.next = offset.saturating_add(1);
        if self.open.is_empty() {
            self.watermark = offset;
        }
        self.open.push_back(Entry { offset, bytes, is_settled: false });
        self.pending.add(bytes);
        true
    }

    /// A record has settled. Settling it again, or one that was never handed out, has no effect.
    pub fn settle(&mut self, offset: i64) {
        let Some(at) = self.place_of(offset) else { return };
        let Some(entry) = self.open.get_mut(at) else { return };
        entry.is_settled = true;
        while let Some(first) = self.open.front().filter(|first| first.is_settled).copied() {
            self.open.pop_front();
            self.pending.remove(first.bytes);
            self.uncommitted.add(first.bytes);
        }
        self.watermark = self.open.front().map_or(self.next, |first| first.offset);
    }

    /// Where a record stands in `open`. Without gaps it is as far from the first one as its offset is.
    fn place_of(&self, offset: i64) -> Option<usize> {
        let first = self.open.front()?.offset;
        let guess = usize::try_from(offset.checked_sub(first)?).ok()?;
        match self.open.get(guess) {
            Some(entry) if entry.offset == offset => Some(guess),
            _ => self.open.binary_search_by_key(&offset, |entry| entry.offset).ok(),
        }
    }

    /// The offset to commit: that of the first record which has not settled, else the one after the newest.
    #[must_use]
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// The offset after the newest record handed out.
    #[must_use]
    pub fn next(&self) -> i64 {
        self.next
    }

    /// What has settled since a commit was asked for.
    #[must_use]
    pub fn uncommitted(&self) -> Span {
        self.uncommitted
    }

    /// What a commit was asked for, without an answer.
    #[must_use]
    pub fn requested(&self) -> Span {
        self.requested
    }

    /// From the last commit that is known to have succeeded to the newest record handed out: what would be handed out again.
    #[must_use]
    pub fn span(&self) -> Span {
        self.pending.plus(self.uncommitted).plus(self.requested)
    }

    /// The offset to ask a commit of: the watermark, unless that was asked for already.
    pub fn request(&mut self) -> Option<i64> {
        if self.last_request == Some(self.watermark) {
            return None;
        }
        self.last_request = Some(self.watermark);
        self.requested = self.requested.plus(std::mem::take(&mut self.uncommitted));
        self.last_request
    }

    /// An offset is committed. That of an earlier request has no effect: a later one is on its way.
    pub fn committed(&mut self, offset: i64) {
        if self.last_request == Some(offset) {
            self.requested = Span::default();
        }
    }

    /// Commits may have failed: what they were for is asked for again.
    pub fn forget_requests(&mut self) {
        self.last_request = None;
        self.uncommitted = self.uncommitted.plus(std::mem::take(&mut self.requested));
    }
}

impl Span {
    fn add(&mut self, bytes: usize) {
        self.records += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.records -= 1;
        self.bytes -= bytes;
    }

    fn plus(self, other: Self) -> Self {
        Self { records: self.records + other.records, bytes: self.bytes + other.bytes }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_unsettled_holds_the_watermark() {
        let mut tracker = OffsetTracker::new(100);
        assert_eq!(tracker.watermark(), 100);
        for offset in [100, 101, 105] {
            assert!(tracker.track(offset, 10));
        }
        tracker.settle(101);
        assert_eq!((tracker.watermark(), tracker.span()), (100, Span { records: 3, bytes: 30 }));
        tracker.settle(100);
        assert_eq!((tracker.watermark(), tracker.uncommitted()), (105, Span { records: 2, bytes: 20 }));
        assert_eq!(tracker.request(), Some(105));
        tracker.committed(105);
        assert_eq!(tracker.span(), Span { records: 1, bytes: 10 });
        tracker.settle(105);
        assert_eq!(tracker.watermark(), 106);
    }

    #[test]
    fn what_is_not_known_to_be_committed_counts() {
        let mut tracker = OffsetTracker::new(0);
        for offset in 0..4 {
            assert!(tracker.track(offset, 1));
            tracker.settle(offset);
        }
        assert_eq!(tracker.request(), Some(4));
        assert_eq!(tracker.request(), None, "asked for already");
        assert_eq!(tracker.span().records, 4, "nobody has answered");
        tracker.forget_requests();
        assert_eq!((tracker.uncommitted().records, tracker.span().records), (4, 4));
        assert_eq!(tracker.request(), Some(4));
        assert!(tracker.track(4, 1));
        tracker.settle(4);
        assert_eq!(tracker.request(), Some(5));
        tracker.committed(4);
        assert_eq!(tracker.span().records, 5, "the answer to the later request decides");
        tracker.committed(5);
        assert_eq!(tracker.span(), Span::default());
    }

    #[test]
    fn an_offset_is_handed_out_once() {
        let mut tracker = OffsetTracker::new(0);
        assert!(tracker.track(5, 1));
        assert!(!tracker.track(5, 1));
        assert!(!tracker.track(4, 1));
        tracker.settle(4);
        tracker.settle(99);
        assert_eq!(tracker.watermark(), 5);
    }

    proptest! {
        /// Against the plain definition: the smallest offset handed out and not settled, else the one after the newest.
        #[test]
        fn the_watermark_is_what_it_says(
            gaps in prop::collection::vec(1_i64..4, 1..60),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..90),
        ) {
            let offsets: Vec<i64> = gaps.iter().scan(0, |offset, gap| { *offset += gap; Some(*offset) }).collect();
            let mut tracker = OffsetTracker::new(0);
            for offset in &offsets {
                prop_assert!(tracker.track(*offset, 3));
            }
            let mut settled = std::collections::HashSet::new();
            let mut last = tracker.watermark();
            for at in order {
                let offset = *at.get(&offsets);
                tracker.settle(offset);
                settled.insert(offset);
                let expected = offsets.iter().copied().find(|offset| !settled.contains(offset));
                prop_assert_eq!(tracker.watermark(), expected.unwrap_or(offsets[offsets.len() - 1] + 1));
                prop_assert!(tracker.watermark() >= last, "it never goes back");
                last = tracker.watermark();
                prop_assert_eq!(tracker.span(), Span { records: offsets.len(), bytes: offsets.len() * 3 });
            }
        }
    }
}
