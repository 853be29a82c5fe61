//! What was answered to whoever changed connections, and what may be kept then.
//!
//! Each change of a connection has a number, from 1; they are answered with it, and no two have the same. So what is kept after a
//! change of some number is what that change has left, whoever has made it, and whatever else was on its way.

use std::collections::BTreeMap;

/// What a change does to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It gets this definition, by its number, and is to be open or not.
    Define {
        definition: usize,
        is_open: bool,
    },
    /// It is opened or closed.
    Status {
        is_open: bool,
    },
    Delete,
}

/// How a connection is kept, or that it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct State {
    /// The number of its last change.
    pub(super) sequence: u64,
    pub(super) kept: Option<Kept>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) definition: usize,
    pub(super) is_open: bool,
    /// The number of the change that gave it its definition.
    pub(super) revision: u64,
}

/// What came of a change that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It is made, with this number if that was told.
    Changed(Option<u64>),
    /// It is not made.
    Refused,
    /// Nothing was answered: it may be made or not.
    Nothing,
}

/// All that was answered since connections were last looked at.
#[derive(Debug, Default)]
pub(super) struct Book {
    pages: BTreeMap<String, Page>,
    /// What was to make connections whose ids nobody was told.
    nameless: Vec<Change>,
    /// How many changes were made, refused, and not answered.
    pub(super) counts: Counts,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) changed: usize,
    pub(super) refused: usize,
    pub(super) unanswered: usize,
    /// Of those: how many were made all the same.
    pub(super) kept: usize,
}

/// What is known of one connection.
#[derive(Debug, Default)]
struct Page {
    /// How it was when it was last looked at.
    from: State,
    answered: BTreeMap<u64, Change>,
    /// Made, with a number that was not told.
    unnumbered: Vec<Change>,
    /// They may be made.
    unanswered: Vec<Change>,
}

impl State {
    /// What the next change leaves behind.
    pub(super) fn after(self, change: Change) -> Self {
        let sequence = self.sequence + 1;
        let kept = match change {
            Change::Define { definition, is_open } => Some(Kept { definition, is_open, revision: sequence }),
            Change::Status { is_open } => self.kept.map(|kept| Kept { is_open, ..kept }),
            Change::Delete => None,
        };
        Self { sequence, kept }
    }
}

impl Book {
    /// The newest number that was answered of a connection.
    pub(super) fn newest(&self, id: &str) -> u64 {
        self.pages.get(id).map_or(0, Page::newest)
    }

    /// Writes down what came of a change. `before` is the newest number that was answered when it was asked for: a change that
    /// began later comes later.
    pub(super) fn enter(&mut self, id: &str, change: Change, said: Said, before: u64) -> Result<(), String> {
        let page = self.pages.entry(id.to_owned()).or_default();
        match said {
            Said::Changed(Some(sequence)) => {
                if sequence <= before {
                    return Err(format!(
                        "`{id}`: {change:?} has number {sequence} and began after number {before}"
                    ));
                }
                if let Some(other) = page.answered.get(&sequence) {
                    return Err(format!("`{id}`: {change:?} and {other:?} both have number {sequence}"));
                }
                page.answered.insert(sequence, change);
                self.counts.changed += 1;
            }
            Said::Changed(None) => {
                page.unnumbered.push(change);
                self.counts.changed += 1;
            }
            Said::Refused => self.counts.refused += 1,
            Said::Nothing => {
                page.unanswered.push(change);
                self.counts.unanswered += 1;
            }
        }
        Ok(())
    }

    /// A connection was to be made whose id was not told.
    pub(super) fn enter_nameless(&mut self, change: Change) {
        self.nameless.push(change);
        self.counts.unanswered += 1;
    }

    /// Compares it with what is kept, and goes on from there. What is wrong.
    pub(super) fn check(&mut self, found: &BTreeMap<String, State>) -> Vec<String> {
        let mut findings = Vec::new();
        for (id, state) in found.iter().filter(|(id, _)| !self.pages.contains_key(*id)).collect::<Vec<_>>() {
            let made = |change: &Change| State::default().after(*change) == *state;
            match self.nameless.iter().position(made) {
                Some(at) => {
                    let unanswered = vec![self.nameless.swap_remove(at)];
                    self.pages.insert(id.clone(), Page { unanswered, ..Page::default() });
                }
                None => findings.push(format!("`{id}`: nobody has made {state:?}")),
            }
        }
        self.nameless.clear();
        for (id, page) in &mut self.pages {
            let state = found.get(id).copied().unwrap_or_default();
            match page.kept(state) {
                Ok(kept) => self.counts.kept += kept,
                Err(why) => findings.push(format!("`{id}`: {why}: {state:?} of {page:?}")),
            }
            *page = Page { from: state, ..Page::default() };
        }
        findings
    }

    /// How a connection is that only one at a time changes.
    pub(super) fn state(&self, id: &str) -> State {
        self.pages.get(id).map(Page::state).unwrap_or_default()
    }
}

impl Page {
    fn newest(&self) -> u64 {
        self.answered.keys().next_back().copied().unwrap_or(self.from.sequence)
    }

    fn state(&self) -> State {
        let after = |state: State, (number, change): (&u64, &Change)| {
            State { sequence: number.saturating_sub(1), ..state }.after(*change)
        };
        self.answered.iter().fold(self.from, after)
    }

    /// Whether it may be kept so; how many changes were made that were not answered.
    fn kept(&self, found: State) -> Result<usize, &'static str> {
        let made = self.answered.len() + self.unnumbered.len();
        let numbers = found.sequence.checked_sub(self.from.sequence).ok_or("changes are gone")?;
        let numbers = usize::try_from(numbers).map_err(|_| "no such number of changes")?;
        if found.sequence < self.newest() || numbers < made {
            return Err("what was answered is gone");
        }
        let kept = numbers - made;
        if kept > self.unanswered.len() {
            return Err("it was changed more often than anybody asked for");
        }
        if numbers == 0 {
            return if found == self.from { Ok(0) } else { Err("it is another one without a change") };
        }
        // Those whose numbers nobody knows may have made what those do not that are known.
        let unknown = || self.unnumbered.iter().chain(&self.unanswered);
        let last = self.answered.get(&found.sequence);
        let is_last = |change: &Change| match (change, found.kept) {
            (Change::Delete, kept) => kept.is_none(),
            (Change::Define { definition, is_open }, Some(kept)) => {
                *definition == kept.definition && *is_open == kept.is_open && kept.revision == found.sequence
            }
            (Change::Status { is_open }, Some(kept)) => {
                *is_open == kept.is_open && kept.revision < found.sequence
            }
            (_, None) => false,
        };
        let is_explained = last.map_or_else(|| unknown().any(is_last), is_last);
        if !is_explained {
            return Err("it is not what its last change has left");
        }
        let Some(Kept { definition, revision, .. }) = found.kept else { return Ok(kept) };
        let defines =
            |change: &Change| matches!(change, Change::Define { definition: it, .. } if *it == definition);
        let is_defined = match self.answered.get(&revision) {
            Some(change) => defines(change),
            None if revision <= self.from.sequence => {
                self.from.kept.is_some_and(|it| it.definition == definition && it.revision == revision)
            }
            None => unknown().any(defines),
        };
        let later = self.answered.iter().filter(|(number, _)| **number > revision);
        let is_newest = later.into_iter().all(|(_, change)| matches!(change, Change::Status { .. }));
        if is_defined && is_newest {
            Ok(kept)
        } else {
            Err("it has not the definition that it was given last")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINE: Change = Change::Define { definition: 1, is_open: true };
    const OTHER: Change = Change::Define { definition: 2, is_open: false };
    const OPEN: Change = Change::Status { is_open: true };
    const CLOSE: Change = Change::Status { is_open: false };

    fn kept(sequence: u64, definition: usize, is_open: bool, revision: u64) -> State {
        State { sequence, kept: Some(Kept { definition, is_open, revision }) }
    }

    fn gone(sequence: u64) -> State {
        State { sequence, kept: None }
    }

    /// Whether it may be kept so after these changes.
    fn may_be(changes: &[(Change, Said)], found: State) -> bool {
        let mut book = Book::default();
        for (change, said) in changes {
            book.enter("c", *change, *said, 0).unwrap();
        }
        book.check(&BTreeMap::from([("c".to_owned(), found)])).is_empty()
    }

    #[test]
    fn what_was_answered_is_kept_and_nothing_else() {
        let is = |n| Said::Changed(Some(n));
        let answered = [(DEFINE, is(1)), (CLOSE, is(2))];
        assert!(may_be(&answered, kept(2, 1, false, 1)));
        for wrong in [kept(1, 1, true, 1), kept(2, 1, true, 1), kept(2, 1, false, 2), kept(2, 2, false, 1)] {
            assert!(!may_be(&answered, wrong), "{wrong:?}");
        }
        assert!(!may_be(&answered, kept(3, 1, false, 1)) && !may_be(&answered, gone(2)));
        // They are answered in any order.
        assert!(may_be(&[(OTHER, is(2)), (DEFINE, is(1))], kept(2, 2, false, 2)));
        assert!(!may_be(&[(OTHER, is(2)), (DEFINE, is(1))], kept(2, 1, true, 1)));
        assert!(may_be(&[(DEFINE, is(1)), (Change::Delete, is(2))], gone(2)));
        assert!(!may_be(&[(DEFINE, is(1)), (Change::Delete, is(2))], kept(2, 1, true, 1)));
        assert!(!may_be(&[(DEFINE, Said::Refused)], kept(1, 1, true, 1)));
    }

    #[test]
    fn what_was_not_answered_may_be_kept_whole() {
        let is = |n| Said::Changed(Some(n));
        let one = [(DEFINE, is(1)), (OTHER, Said::Nothing)];
        assert!(may_be(&one, kept(1, 1, true, 1)) && may_be(&one, kept(2, 2, false, 2)));
        assert!(!may_be(&one, kept(2, 2, true, 2)) && !may_be(&one, kept(2, 1, true, 1)));
        // It may have come before another one that was answered.
        let between = [(DEFINE, is(1)), (OTHER, Said::Nothing), (OPEN, is(3))];
        assert!(may_be(&between, kept(3, 2, true, 2)));
        assert!(!may_be(&between, kept(3, 2, false, 2)) && !may_be(&between, kept(2, 2, false, 2)));
        // Made for certain, with a number that nobody was told.
        let unnumbered = [(DEFINE, is(1)), (CLOSE, Said::Changed(None))];
        assert!(may_be(&unnumbered, kept(2, 1, false, 1)) && !may_be(&unnumbered, kept(1, 1, true, 1)));
        let mut book = Book::default();
        let made = |id: &str, state| BTreeMap::from([(id.to_owned(), state)]);
        book.enter_nameless(DEFINE);
        assert!(!book.check(&made("x", kept(1, 2, true, 1))).is_empty());
        assert!(!book.check(&made("x", kept(1, 1, true, 1))).is_empty(), "it was looked at before");
        book.enter_nameless(DEFINE);
        assert_eq!(book.check(&made("y", kept(1, 1, true, 1))), [""; 0]);
        assert_eq!(book.counts.kept, 1);
        assert!(!book.check(&made("y", kept(2, 1, false, 1))).is_empty(), "nobody has closed it");
    }

    #[test]
    fn numbers_are_given_once_and_rise() {
        let mut book = Book::default();
        book.enter("c", DEFINE, Said::Changed(Some(4)), 3).unwrap();
        assert_eq!(book.newest("c"), 4);
        assert!(book.enter("c", OPEN, Said::Changed(Some(4)), 3).is_err());
        assert!(book.enter("c", OPEN, Said::Changed(Some(4)), 4).is_err());
        assert_eq!(book.state("c"), kept(4, 1, true, 4));
    }
}
