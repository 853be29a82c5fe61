//! The way of delivery reports from the poll thread to the publishers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use crate::lock::lock;
use crate::record::OwnedRecord;

/// One delivery report as it comes from librdkafka.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) opaque: Opaque,
    /// 0 = delivered.
    pub(crate) error: i32,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// -1 = unknown.
    pub(crate) timestamp_ms: i64,
    /// Key and payload: what the shared permits were charged.
    pub(crate) bytes: usize,
    /// The record, if it was not delivered; librdkafka has kept it until now.
    pub(crate) record: Option<Box<OwnedRecord>>,
}

/// What librdkafka carries with a record and gives back: the publisher and the slot in its slab. It
/// travels as a pointer-sized number, so nothing of ours is allocated per record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opaque {
    pub(crate) publisher: u32,
    pub(crate) slot: u32,
}

const _: () = assert!(usize::BITS == 64, "an opaque holds two 32 bit numbers");

impl Opaque {
    pub(crate) fn pack(self) -> usize {
        (self.publisher as usize) << 32 | self.slot as usize
    }

    #[expect(clippy::cast_possible_truncation, reason = "the two halves are taken apart")]
    pub(crate) fn unpack(packed: usize) -> Self {
        Self { publisher: (packed >> 32) as u32, slot: packed as u32 }
    }
}

/// Where one publisher finds its reports.
#[derive(Debug, Default)]
pub(crate) struct Mailbox(Mutex<Inbox>);

#[derive(Debug, Default)]
struct Inbox {
    reports: Vec<Report>,
    waker: Option<Waker>,
}

impl Mailbox {
    /// Moves all reports to `taken`, which must be empty; leaves its allocation behind for the next
    /// ones. If there are none, the waker is kept for when some come.
    pub(crate) fn take(&self, taken: &mut Vec<Report>, waker: &Waker) {
        let mut inbox = lock(&self.0);
        if inbox.reports.is_empty() {
            inbox.wait(waker);
        } else {
            std::mem::swap(&mut inbox.reports, taken);
        }
    }

    /// How many reports wait to be taken; the waker is kept for when more come.
    pub(crate) fn waiting(&self, waker: &Waker) -> usize {
        let mut inbox = lock(&self.0);
        inbox.wait(waker);
        inbox.reports.len()
    }
}

impl Inbox {
    fn wait(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(kept) => kept.clone_from(waker),
            None => self.waker = Some(waker.clone()),
        }
    }
}

/// The mailboxes of one client.
#[derive(Debug, Default)]
pub(crate) struct Mailboxes {
    open: Mutex<HashMap<u32, Arc<Mailbox>>>,
    /// INVARIANT: never reused, so that a late report can't reach somebody else's mailbox.
    next: AtomicU32,
}

impl Mailboxes {
    /// A new mailbox; `None` after four billion of them.
    pub(crate) fn open(&self) -> Option<(u32, Arc<Mailbox>)> {
        let index =
            self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_add(1)).ok()?;
        let mailbox = Arc::new(Mailbox::default());
        lock(&self.open).insert(index, Arc::clone(&mailbox));
        Some((index, mailbox))
    }

    /// Reports that come later for this one are dropped.
    pub(crate) fn close(&self, index: u32) {
        lock(&self.open).remove(&index);
    }

    /// Moves each report into its publisher's mailbox, in order, and wakes each publisher once. Returns
    /// how many found nobody.
    pub(crate) fn deliver(&self, reports: &mut Vec<Report>) -> usize {
        let mut nobody = 0;
        let mut wakers = Vec::new();
        let mut reports = reports.drain(..).peekable();
        // Reports of one publisher come in runs, often in a single one.
        while let Some(first) = reports.peek() {
            let publisher = first.opaque.publisher;
            let run = std::iter::from_fn(|| reports.next_if(|it| it.opaque.publisher == publisher));
            let mailbox = lock(&self.open).get(&publisher).cloned();
            let Some(mailbox) = mailbox else {
                nobody += run.count();
                continue;
            };
            let mut inbox = lock(&mailbox.0);
            inbox.reports.extend(run);
            wakers.extend(inbox.waker.take());
        }
        wakers.into_iter().for_each(Waker::wake);
        nobody
    }
}

#[cfg(test)]
mod tests;
