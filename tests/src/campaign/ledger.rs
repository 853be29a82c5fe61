//! The service's own counters: read while it works, and held against each other, against the topics and against the oracle.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, ensure};
use serde_json::Value;

use super::driver::Sent;
use super::work::{Fate, Work};

/// What became of the signals that a target was selected for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) selected: u64,
    pub(super) published: u64,
    pub(super) dropped: BTreeMap<String, u64>,
    pub(super) failed: BTreeMap<String, u64>,
}

/// Everything that a process says at one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Statement {
    /// Of each target, and its signals in flight.
    accounts: Vec<(Account, u64)>,
    /// Signals that were received, and are for some target that may read them.
    routed: u64,
}

/// The statements of one process.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Records that each topic had before it started, unless others write to them, too.
    base: Option<Vec<u64>>,
    last: Option<Statement>,
    /// How many statements there were.
    pub(super) read: usize,
}

/// In flight for a connection, and on hold for a target (docs/operations.md, Bounds).
const IN_FLIGHT: u64 = 5_000 + 10_000;

impl Account {
    /// What must have become of the signals that the feed has acknowledged, each once.
    pub(super) fn of(work: &dyn Work, sent: &Sent, target: usize) -> Self {
        let mut account = Self::default();
        for signal in &sent.acknowledged {
            let fate = work.fate(target, *signal);
            account.selected += u64::from(fate != Fate::Unselected);
            match fate {
                Fate::Unselected => {}
                Fate::Published(_) => account.published += 1,
                Fate::Dropped(reason) => *account.dropped.entry(reason.to_owned()).or_default() += 1,
                Fate::Failed(reason) => *account.failed.entry(reason.to_owned()).or_default() += 1,
            }
        }
        account
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.values().sum()
    }

    fn ended(&self) -> u64 {
        self.published + self.dropped.values().sum::<u64>() + self.failed()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} signals selected, {} published", self.selected, self.published)?;
        for (word, counts) in [("dropped", &self.dropped), ("failed", &self.failed)] {
            counts.iter().try_for_each(|(reason, count)| write!(f, ", {count} {word} ({reason})"))?;
        }
        Ok(())
    }
}

impl Statement {
    /// Reads a line of status.
    fn read(status: &Value) -> anyhow::Result<Self> {
        let number = |value: &Value, name: &str| {
            value[name].as_u64().with_context(|| format!("no `{name}` in {value}"))
        };
        let reasons = |value: &Value| -> BTreeMap<String, u64> {
            let all = value.as_object().into_iter().flatten();
            all.map(|(reason, count)| (reason.clone(), count.as_u64().unwrap_or_default())).collect()
        };
        let targets = status["connections"][0]["targets"].as_array().context("no targets")?;
        let accounts = targets.iter().map(|target| {
            let account = Account {
                selected: number(target, "selected")?,
                published: number(target, "published")?,
                dropped: reasons(&target["dropped"]),
                failed: reasons(&target["failed"]),
            };
            Ok((account, number(target, "inFlight")?))
        });
        let lane = &status["lanes"][0];
        let lost: u64 =
            ["undecodable", "unreadable"].iter().flat_map(|it| reasons(&lane[*it]).into_values()).sum();
        let (received, unselected) = (number(lane, "received")?, number(lane, "unselected")?);
        // Counters are read one after the other while the lane goes on.
        let routed = received.saturating_sub(unselected + lost);
        Ok(Self { accounts: accounts.collect::<anyhow::Result<_>>()?, routed })
    }
}

impl Ledger {
    /// For a process that starts when the topics have so many records.
    pub(super) fn open(base: Vec<u64>) -> Self {
        Self { base: Some(base), last: None, read: 0 }
    }

    /// Somebody else writes to the topics, too.
    pub(super) fn share(&mut self) {
        self.base = None;
    }

    /// Checks what a process says, between two looks at how many records its topics have.
    ///
    /// "In flight" is what a process has left when it takes everything else from what was selected. So it alone proves
    /// nothing: what was published must be in the topic, and what is in the topic must be published or in flight.
    pub(super) fn check(
        &mut self,
        work: &dyn Work,
        before: &[u64],
        status: &Value,
        after: &[u64],
    ) -> anyhow::Result<()> {
        let now = Statement::read(status)?;
        ensure!(now.accounts.len() == work.targets().len(), "{} targets", now.accounts.len());
        for (target, (account, in_flight)) in work.targets().iter().zip(&now.accounts) {
            let law = account.ended() + in_flight == account.selected;
            ensure!(law, "{target}: {account:?} with {in_flight} in flight breaks the law");
            ensure!(*in_flight <= IN_FLIGHT, "{target}: {in_flight} in flight");
        }
        let counts = self.base.iter().flatten().zip(before).zip(after).zip(&now.accounts);
        for (target, (((base, before), after), (account, in_flight))) in counts.enumerate() {
            let (before, after) = (before - base, after - base);
            let known = (account.published + in_flight) * work.records_of_a_signal(target) as u64;
            let is_there = account.published <= after && before <= known;
            ensure!(
                is_there,
                "target {target} had {before} to {after} records: {account:?} with {in_flight} in flight"
            );
        }
        if let Some(last) = &self.last {
            for ((now, _), (last, _)) in now.accounts.iter().zip(&last.accounts) {
                let fell = |now: &BTreeMap<String, u64>, last: &BTreeMap<String, u64>| {
                    last.iter().any(|(reason, count)| now.get(reason).is_none_or(|now| now < count))
                };
                let went_back = now.selected < last.selected
                    || now.published < last.published
                    || fell(&now.dropped, &last.dropped)
                    || fell(&now.failed, &last.failed);
                ensure!(!went_back, "{last:?} became {now:?}");
            }
        }
        self.last = Some(now);
        self.read += 1;
        Ok(())
    }

    /// Checks the last statement, of a process that is done with everything: nothing is in flight, and if it was the only
    /// one, all is counted as the oracle says.
    pub(super) fn close(&self, due: Option<&[Account]>) -> anyhow::Result<()> {
        let last = self.last.as_ref().context("nothing was read")?;
        for (at, (account, in_flight)) in last.accounts.iter().enumerate() {
            ensure!(*in_flight == 0, "target {at}: {in_flight} in flight in the end");
            if let Some(due) = due {
                ensure!(
                    due.get(at) == Some(account),
                    "target {at}: {account:?} instead of {:?}",
                    due.get(at)
                );
            }
        }
        let selected = last.accounts.iter().map(|(account, _)| account.selected);
        let (most, all) = (selected.clone().max().unwrap_or_default(), selected.sum::<u64>());
        ensure!(
            most <= last.routed && last.routed <= all,
            "{} signals are for some target, which have {most} to {all}",
            last.routed
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::oracle::Plain;
    use super::*;

    const PLAIN: Plain = Plain { seed: 1 };

    fn status(selected: u64, published: u64, in_flight: u64) -> Value {
        let target = json!({
            "selected": selected, "published": published, "inFlight": in_flight,
            "dropped": {"filtered": 2}, "failed": {"mapping": 1},
        });
        json!({
            "connections": [{"targets": [target, target, target]}],
            "lanes": [{"received": selected + 3, "unselected": 2, "undecodable": {"empty": 1}}],
        })
    }

    /// Each fault that the ledger is for, planted.
    #[test]
    fn what_is_not_in_balance_is_found() {
        let checked = |statements: &[(Value, u64, u64)]| {
            let mut ledger = Ledger::open(vec![100; 3]);
            let all = |count| vec![count; 3];
            let mut checks = statements
                .iter()
                .map(|(status, before, after)| ledger.check(&PLAIN, &all(*before), status, &all(*after)));
            checks.find_map(Result::err).map_or(Ok(()), Err)
        };
        let good = (status(10, 5, 2), 105, 107);
        checked(&[good.clone(), (status(12, 7, 2), 109, 109)]).unwrap();
        for wrong in [
            (status(10, 5, 3), 105, 107),
            (status(10, 5, 2), 105, 104),
            (status(10, 5, 2), 108, 108),
            (status(20_000, 5, 19_992), 105, 107),
        ] {
            checked(&[wrong]).unwrap_err();
        }
        checked(&[good.clone(), (status(10, 4, 3), 105, 107)]).unwrap_err();
        checked(&[good, (json!({"connections": [{"targets": []}]}), 105, 107)]).unwrap_err();
    }

    #[test]
    fn the_end_is_what_is_due() {
        let closed = |status: &Value, due: Option<&[Account]>| {
            let mut ledger = Ledger::open(vec![0; 3]);
            ledger.check(&PLAIN, &[0; 3], status, &[100; 3]).unwrap();
            ledger.close(due)
        };
        let due = Statement::read(&status(8, 5, 0)).unwrap().accounts.into_iter().map(|(it, _)| it);
        let mut due: Vec<Account> = due.collect();
        closed(&status(8, 5, 0), Some(&due)).unwrap();
        closed(&status(10, 5, 2), None).unwrap_err();
        closed(&status(9, 6, 0), None).unwrap();
        closed(&status(9, 6, 0), Some(&due)).unwrap_err();
        due[2].failed.clear();
        closed(&status(8, 5, 0), Some(&due)).unwrap_err();
        let mut lane = status(8, 5, 0);
        lane["lanes"][0]["received"] = 40.into();
        closed(&lane, None).unwrap_err();
    }
}
