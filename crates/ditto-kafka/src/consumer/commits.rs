//! Commits, and whether they succeed.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use tracing::{debug, warn};

use super::assignment::Assignment;
use super::reader::Shared;
use super::starts::{list_of, offsets_of};
use crate::lock::lock;

/// Commits what has settled.
///
/// librdkafka is asked to commit and does not say that it has; it logs when it could not. So no news is good news, until a
/// commit fails: from then on the cluster is asked what it has, and what it does not have counts as read ahead. A group that
/// can't commit thus pauses, instead of reading on and on what it would have to read again.
#[derive(Debug)]
pub(super) struct Commits {
    interval: Duration,
    last: Instant,
    /// A commit has failed, and not all have succeeded since.
    in_doubt: bool,
}

/// For the answer of the cluster; nothing is read meanwhile.
const TIMEOUT: Duration = Duration::from_secs(1);

impl Commits {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, last: Instant::now(), in_doubt: false }
    }

    /// Commits what is due: everything once in an interval, before that only where much has settled.
    pub(super) fn commit(&mut self, consumer: &BaseConsumer<Assignment>, shared: &Shared) {
        let is_interval = self.last.elapsed() >= self.interval;
        if is_interval {
            self.last = Instant::now();
        }
        if self.in_doubt && is_interval {
            self.ask(consumer);
        }
        if shared.commit_failed.swap(false, Ordering::AcqRel) {
            self.in_doubt = true;
            lock(&consumer.context().partitions).forget_requests();
        }
        self.send(consumer, is_interval, CommitMode::Async);
    }

    /// Commits everything that is not on its way, and waits for it.
    pub(super) fn finish(&mut self, consumer: &BaseConsumer<Assignment>, shared: &Shared) {
        if self.in_doubt || shared.commit_failed.load(Ordering::Acquire) {
            lock(&consumer.context().partitions).forget_requests();
        }
        self.send(consumer, true, CommitMode::Sync);
    }

    fn send(&self, consumer: &BaseConsumer<Assignment>, everything: bool, mode: CommitMode) {
        let offsets = lock(&consumer.context().partitions).take_commit(everything);
        if offsets.is_empty() {
            return;
        }
        let sent = consumer.commit(&offsets_of(&offsets), mode);
        let mut partitions = lock(&consumer.context().partitions);
        match sent {
            Ok(()) if self.in_doubt => {}
            Ok(()) => offsets
                .iter()
                .for_each(|(topic, partition, offset)| partitions.committed(topic, *partition, *offset)),
            Err(error) => {
                warn!(%error, "offsets not committed, will be tried again");
                partitions.forget_requests();
            }
        }
    }

    /// Takes what the cluster has for granted; the rest is asked for again.
    fn ask(&mut self, consumer: &BaseConsumer<Assignment>) {
        let places = lock(&consumer.context().partitions).requested();
        if !places.is_empty() {
            let committed = match consumer.committed_offsets(list_of(&places), TIMEOUT) {
                Ok(committed) => committed,
                Err(error) => {
                    return debug!(%error, "what is committed is not found out, will be tried again");
                }
            };
            let mut partitions = lock(&consumer.context().partitions);
            for element in committed.elements() {
                if let Offset::Offset(offset) = element.offset() {
                    partitions.committed(element.topic(), element.partition(), offset);
                }
            }
        }
        let mut partitions = lock(&consumer.context().partitions);
        self.in_doubt = !partitions.requested().is_empty();
        if self.in_doubt {
            partitions.forget_requests();
        }
    }
}
