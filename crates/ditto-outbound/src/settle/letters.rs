//! Dead letters of what has failed: a signal's ticket waits for them.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{RecordInFlight, Settlement, SignalInFlight, SignalKey, TargetInFlight};
use crate::dead_letter::{DueLetter, DueOriginal, Source};
use crate::leaf::Token;
use crate::outcome::{DeliverError, DeliverErrorKind};
use crate::signal::RoutedSignal;
use crate::target::CompiledTarget;

impl<T> Settlement<T> {
    /// Where records of the feed go that are no signals or have failed.
    pub(crate) fn keep_originals(&mut self, to: Arc<CompiledTarget>) {
        self.originals_to = Some(to);
    }

    /// Keeps a signal for the letters of its failures.
    pub(crate) fn keep(&mut self, key: SignalKey, signal: Arc<RoutedSignal>) {
        if let Some(entry) = self.signals.get_mut(key) {
            entry.signal = Some(signal);
        }
    }

    /// Settles a record that is no signal, once it is kept if somebody keeps it.
    pub(crate) fn settle_undecodable(
        &mut self,
        ticket: T,
        source: Option<Arc<Source>>,
        reason: &'static str,
        error: &str,
    ) {
        let (Some(to), Some(source)) = (self.originals_to.clone(), source) else {
            return self.settled.push(ticket);
        };
        let key = self.signals.insert(SignalInFlight {
            ticket,
            open: 0,
            open_letters: 0,
            signal: None,
            targets: SmallVec::new(),
            ledger: None,
            expires_ms: None,
        });
        let (token, order) = self.open_letter(key, &to, None);
        self.originals.push(DueOriginal {
            token,
            order,
            source,
            reason,
            error: error.to_owned(),
            target: None,
        });
    }

    /// A signal has failed for a target: opens what letters are due. `order` is the place of the record that failed, if there
    /// was one.
    pub(super) fn bury(&mut self, key: SignalKey, target: usize, order: Option<u64>, error: &DeliverError) {
        let Some(entry) = self.signals.get(key).filter(|_| has_letter(error.kind())) else { return };
        let (Some(signal), Some(failed)) = (entry.signal.clone(), entry.targets.get(target)) else { return };
        let target = failed.target.clone();
        if let Some(to) = target.dead_letters() {
            let (token, order) = self.open_letter(key, to, order);
            let (signal, target, error) = (signal.clone(), target.clone(), error.clone());
            self.letters.push(DueLetter { token, order, signal, target, error });
        }
        if let (Some(to), Some(source)) = (self.originals_to.clone(), signal.source()) {
            let (token, order) = self.open_letter(key, &to, None);
            let (source, reason, error) = (source.clone(), error.kind().name(), error.to_string());
            self.originals.push(DueOriginal { token, order, source, reason, error, target: Some(target) });
        }
    }

    /// A letter is one more target of its signal, with one record.
    fn open_letter(&mut self, key: SignalKey, to: &Arc<CompiledTarget>, order: Option<u64>) -> (Token, u64) {
        to.counters().select();
        let order = order.unwrap_or_else(|| {
            self.next_order += 1;
            self.next_order - 1
        });
        let Some(entry) = self.signals.get_mut(key) else { return (Token::MAX, order) };
        entry.open_letters += 1;
        entry.targets.push(TargetInFlight {
            target: to.clone(),
            about: None,
            open_records: 1,
            unpublished: None,
        });
        let record = RecordInFlight { signal: key, target: entry.targets.len() - 1, order };
        // As for every record.
        (Token::try_from(self.records.insert(record)).unwrap_or(Token::MAX), order)
    }

    pub(super) fn close_letter(&mut self, key: SignalKey) {
        if let Some(signal) = self.signals.get_mut(key) {
            signal.open_letters -= 1;
        }
        self.settle_signal(key);
    }

    /// Letters of a connection that are due.
    pub(crate) fn take_letters(&mut self, connection_id: &str) -> Vec<DueLetter> {
        self.letters.extract_if(.., |due| due.target.connection_id() == connection_id).collect()
    }

    /// Records of the feed that are to be kept.
    pub(crate) fn take_originals(&mut self) -> Vec<DueOriginal> {
        std::mem::take(&mut self.originals)
    }

    /// The first place that something of a target in flight has.
    pub(crate) fn first_order(&self, target: &Arc<CompiledTarget>) -> Option<u64> {
        let of_target = |record: &&RecordInFlight| {
            let signal = self.signals.get(record.signal);
            let entry = signal.and_then(|signal| signal.targets.get(record.target));
            entry.is_some_and(|entry| Arc::ptr_eq(&entry.target, target))
        };
        self.records.iter().map(|(_, record)| record).filter(of_target).map(|record| record.order).min()
    }
}

/// Whether a failure of this kind has a letter. One by the fault of its cluster would go the very way that does not work.
fn has_letter(kind: DeliverErrorKind) -> bool {
    !matches!(kind, DeliverErrorKind::Connection(_) | DeliverErrorKind::Producer(_))
}
