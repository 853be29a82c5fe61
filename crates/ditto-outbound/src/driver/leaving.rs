//! The end of a driver: what it has not published goes to the one that comes after it.

use std::collections::BTreeMap;
use std::task::Context;

use super::Driver;
use super::holding::Scope;
use crate::hold::{Parked, Settling};
use crate::leaf::{Completing, Completion, Leaf, Undelivered};
use crate::outcome::DropReason;
use crate::settle::Settlement;

impl<L: Leaf> Driver<L> {
    /// Nobody waits any longer: the leaf gives back what it can, and what has not reached it goes to `heir`, or is dropped
    /// if that has no target with the same address.
    pub(crate) fn give_up<T>(&mut self, mut heir: Option<&mut Self>, settlement: &mut Settlement<T>) {
        self.deliver.take_back();
        let mut left: Vec<Parked> = self.waiting.drain(..).map(Parked::Mapped).collect();
        left.extend(std::mem::take(&mut self.again).into_values());
        self.hand_letters_on(heir.as_deref_mut(), settlement);
        self.open(Scope::Connection);
        for place in 0..self.targets.len() {
            self.open(Scope::Target(place));
            let parked = self.targets.get_mut(place).map(|target| target.parking.take_all());
            left.extend(parked.into_iter().flat_map(BTreeMap::into_values));
        }
        for parked in left {
            leave(parked, heir.as_deref_mut(), settlement);
        }
        // A signal of several records may have failed before.
        self.pass_letters(heir, settlement);
    }

    /// Settles what has completed after [`Self::give_up`]; what was not published goes the same way.
    pub(crate) fn take_last<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut heir: Option<&mut Self>,
        settlement: &mut Settlement<T>,
    ) -> bool {
        if self.deliver.poll_completions(cx, &mut self.completions).is_pending() {
            return false;
        }
        for Completion { token, result } in std::mem::take(&mut self.completions) {
            let Some((_, target)) = settlement.record(token) else { continue };
            let has_fixed_topic = target.fixed_topic().is_some();
            self.left_leaf(token, self.place(target));
            let Undelivered { error, record } = match result {
                Ok(delivered) => {
                    settlement.complete(token, Ok(delivered));
                    continue;
                }
                Err(undelivered) => undelivered,
            };
            let is_final = Settling::of(error.kind(), has_fixed_topic, self.can_replay) == Settling::Final;
            match record.filter(|_| !is_final) {
                Some(record) => leave(Parked::Destined(record), heir.as_deref_mut(), settlement),
                None => settlement.complete(token, Err(error)),
            }
        }
        self.pass_letters(heir, settlement);
        true
    }
}

/// Hands a record on to the driver that comes after, or drops it.
fn leave<L: Leaf, T>(mut parked: Parked, heir: Option<&mut Driver<L>>, settlement: &mut Settlement<T>) {
    let token = parked.token();
    let Some((order, target)) = settlement.record(token) else { return };
    let heir = heir.filter(|heir| match (&mut parked, target.letter_topic()) {
        (Parked::Destined(letter), Some(_)) => heir.readdress(letter),
        _ => heir.place_of_address(target).is_some(),
    });
    match heir {
        Some(heir) => drop(heir.again.insert(order, parked)),
        None => settlement.drop_record(token, DropReason::Closed),
    }
}
