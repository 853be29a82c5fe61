//! Dead letters of a connection's failures, on their way to its topic for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Driver;
use crate::dead_letter::DueLetter;
use crate::hold::Parked;
use crate::leaf::{Destined, Leaf, Topic};
use crate::outcome::DropReason;
use crate::settle::Settlement;
use crate::target::CompiledTarget;

/// Letters that wait for what was before them.
///
/// INVARIANT: the letters of a target go out in the order of what they are for. A failure that the brokers report comes
/// later than one that is found before anything is sent; so a letter waits until nothing of its target is in flight that was
/// before it, for that may fail too.
#[derive(Debug, Default)]
pub(super) struct Letters(BTreeMap<u64, (Arc<CompiledTarget>, Box<Destined>)>);

impl Letters {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<L: Leaf> Driver<L> {
    /// Where its letters go.
    fn letter_topic(&self) -> Option<&Topic> {
        self.connection.dead_letters().and_then(|to| to.letter_topic())
    }

    /// Writes what is due, and lets go what has nothing before it any more. Whether there was anything.
    pub(super) fn take_letters<T>(&mut self, settlement: &mut Settlement<T>) -> bool {
        for due in settlement.take_letters(self.connection.id()) {
            self.write_letter(due, settlement);
        }
        if self.letters.is_empty() {
            return false;
        }
        let mut firsts: Vec<(Arc<CompiledTarget>, Option<u64>)> = Vec::new();
        let before = self.letters.0.len();
        let waits = |order: &u64, (target, _): &mut (Arc<CompiledTarget>, Box<Destined>)| {
            let known = firsts.iter().find(|(known, _)| Arc::ptr_eq(known, target)).map(|(_, first)| *first);
            let first = known.unwrap_or_else(|| {
                let first = settlement.first_order(target);
                firsts.push((target.clone(), first));
                first
            });
            first.is_some_and(|first| first < *order)
        };
        let mut free = std::mem::take(&mut self.letters.0);
        self.letters.0 = free.extract_if(.., waits).collect();
        self.again.extend(free.into_iter().map(|(order, (_, letter))| (order, Parked::Destined(letter))));
        self.letters.0.len() < before
    }

    fn write_letter<T>(&mut self, due: DueLetter, settlement: &mut Settlement<T>) {
        // By the topic of now, also for a target of an earlier definition.
        let Some(topic) = self.letter_topic() else {
            return settlement.drop_record(due.token, DropReason::Closed);
        };
        match due.write(topic) {
            Ok(letter) => {
                self.letters.0.insert(due.order, (due.target, Box::new(letter)));
            }
            Err(reason) => settlement.drop_record(due.token, reason),
        }
    }

    /// A record that was made elsewhere, for the topic that letters go to.
    pub(crate) fn push(&mut self, order: u64, record: Destined) {
        self.again.insert(order, Parked::Destined(Box::new(record)));
    }

    /// Lets a letter of another driver go where those of this one go. Whether there is such a place.
    pub(super) fn readdress(&self, letter: &mut Destined) -> bool {
        let Some(topic) = self.letter_topic() else { return false };
        letter.destination.topic = topic.clone();
        true
    }

    /// What is due goes to the driver that comes after this one, or is dropped.
    pub(super) fn pass_letters<T>(&self, heir: Option<&mut Self>, settlement: &mut Settlement<T>) {
        if let Some(heir) = heir {
            heir.take_letters(settlement);
        } else {
            for due in settlement.take_letters(self.connection.id()) {
                settlement.drop_record(due.token, DropReason::Closed);
            }
        }
    }

    /// What waits goes to the driver that comes after this one, or is dropped if that has no topic for letters.
    pub(super) fn hand_letters_on<T>(&mut self, mut heir: Option<&mut Self>, settlement: &mut Settlement<T>) {
        for (order, (target, mut letter)) in std::mem::take(&mut self.letters.0) {
            match heir.as_deref_mut().filter(|heir| heir.readdress(&mut letter)) {
                Some(heir) => drop(heir.letters.0.insert(order, (target, letter))),
                None => settlement.drop_record(letter.token, DropReason::Closed),
            }
        }
    }
}
