//! A client that changes connections, whatever comes of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::{Value, json};

use super::book::{Book, Change, Kept, Said, State};
use super::definitions::Definitions;
use crate::api::{Api, path};
use crate::campaign::fault::Chance;
use crate::http::Answer;

/// Connections that only one client changes, and those that all do.
const OWN: usize = 3;
const COMMON: usize = 4;

/// What all clients share.
pub(super) struct Common {
    pub(super) definitions: Definitions,
    pub(super) book: Mutex<Book>,
    /// Whoever gets no answer before that has found a mistake.
    pub(super) is_killed: AtomicBool,
}

impl Common {
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that changes connections one after the other.
pub(super) struct Client {
    chance: Chance,
    /// Ids of its own connections.
    own: Vec<String>,
}

/// A client at work, until the service is killed.
struct Session<'a> {
    client: &'a mut Client,
    common: &'a Common,
    api: &'a Api,
}

impl Client {
    /// The n-th.
    pub(super) fn new(n: usize, seed: u64) -> Self {
        let own = (0..OWN).map(|at| format!("own-{n}-{at}")).collect();
        Self { chance: Chance::new(seed ^ (n as u64 + 1) << 40), own }
    }

    /// The connections that only it changes.
    pub(super) fn connections(&self) -> impl Iterator<Item = &str> {
        self.own.iter().map(String::as_str)
    }

    /// Changes connections until nobody answers any more.
    pub(super) fn work(&mut self, common: &Common, api: &Api) -> anyhow::Result<()> {
        let mut session = Session { client: self, common, api };
        while session.step()? != Said::Nothing {}
        Ok(())
    }
}

impl Session<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.client.chance.below(bound)
    }

    /// Asks for one change.
    fn step(&mut self) -> anyhow::Result<Said> {
        let what = self.below(100);
        if self.below(10) < 3 {
            let id = format!("common-{}", self.below(COMMON));
            return match what {
                0..45 => self.put(&id, false),
                45..65 => self.switch(&id, true, false, false),
                65..80 => self.switch(&id, false, false, false),
                _ => self.delete(&id, false, false),
            };
        }
        let at = self.below(OWN);
        let id = self.client.own[at].clone();
        let by_piggyback = self.below(3) == 0;
        match what {
            0..30 => self.put(&id, true),
            30..36 => self.piggyback(&id),
            36..52 => self.switch(&id, true, true, by_piggyback),
            52..66 => self.switch(&id, false, true, by_piggyback),
            66..78 => self.delete(&id, true, by_piggyback),
            78..84 => self.post(),
            84..88 => self.create_again(&id),
            88..94 => self.put_wrong(&id),
            _ => self.put_stale(&id),
        }
    }

    /// A PUT of another definition.
    fn put(&mut self, id: &str, is_own: bool) -> anyhow::Result<Said> {
        let (change, definition) = self.definition(Some(id), is_own);
        let (before, state) = self.now(id);
        let answer = self.api.ask("PUT", &path(id, ""), Some(&definition));
        let said = self.said(answer, &[], |answer| {
            let due = if state.kept.is_some() { [204, 504] } else { [201, 201] };
            ensure!(!is_own || due.contains(&answer.status), "{} {}", answer.status, answer.text());
            Ok(())
        })?;
        self.enter(id, change, said, before, is_own)
    }

    /// The same by a `DevOps` command.
    fn piggyback(&mut self, id: &str) -> anyhow::Result<Said> {
        let (change, definition) = self.definition(Some(id), true);
        let (before, state) = self.now(id);
        let kind = if state.kept.is_some() { "modifyConnection" } else { "createConnection" };
        let command = json!({"type": format!("connectivity.commands:{kind}"), "connection": definition});
        let said = self.said(self.api.piggyback(&command), &[], |_| Ok(()))?;
        self.enter(id, change, said, before, true)
    }

    /// Opens or closes.
    fn switch(&mut self, id: &str, is_open: bool, is_own: bool, by_piggyback: bool) -> anyhow::Result<Said> {
        let (before, state) = self.now(id);
        let name = if is_open { "openConnection" } else { "closeConnection" };
        let answer = if by_piggyback {
            self.api.piggyback(&json!({"type": format!("connectivity.commands:{name}"), "connectionId": id}))
        } else {
            self.api.command(id, name)
        };
        let said = self.said(answer, &[404], |answer| Self::is_there(answer, state.kept, is_own))?;
        self.enter(id, Change::Status { is_open }, said, before, is_own)
    }

    fn delete(&mut self, id: &str, is_own: bool, by_piggyback: bool) -> anyhow::Result<Said> {
        let (before, state) = self.now(id);
        let answer = if by_piggyback {
            let command = json!({"type": "connectivity.commands:deleteConnection", "connectionId": id});
            self.api.piggyback(&command)
        } else {
            self.api.ask("DELETE", &path(id, ""), None)
        };
        let said = self.said(answer, &[404], |answer| Self::is_there(answer, state.kept, is_own))?;
        self.enter(id, Change::Delete, said, before, is_own)
    }

    /// A POST: it is its own from then on.
    fn post(&mut self) -> anyhow::Result<Said> {
        let (change, definition) = self.definition(None, true);
        let mut id = None;
        let said =
            self.said(self.api.ask("POST", "/api/2/connections", Some(&definition)), &[], |answer| {
                id = answer.json()["id"].as_str().map(str::to_owned);
                Ok(())
            })?;
        if said == Said::Nothing {
            self.common.book().enter_nameless(change);
            return Ok(said);
        }
        let id = id.context("a connection without id")?;
        // It does not become more and more to do.
        let at = self.below(OWN);
        let before = std::mem::replace(&mut self.client.own[at], id.clone());
        self.enter(&id, change, said, 0, true)?;
        let said = self.delete(&before, true, false)?;
        Ok(said)
    }

    /// Creates what is there: that is refused.
    fn create_again(&mut self, id: &str) -> anyhow::Result<Said> {
        let (before, state) = self.now(id);
        if state.kept.is_none() {
            return self.put(id, true);
        }
        let (change, definition) = self.definition(Some(id), true);
        let command = json!({"type": "connectivity.commands:createConnection", "connection": definition});
        let said = self.said(self.api.piggyback(&command), &[409], |_| Ok(()))?;
        ensure!(!matches!(said, Said::Changed(_)), "`{id}` was created twice");
        self.enter(id, change, said, before, true)
    }

    /// A definition that is wrong is refused.
    fn put_wrong(&mut self, id: &str) -> anyhow::Result<Said> {
        let (before, _) = self.now(id);
        let (change, mut definition) = self.definition(Some(id), true);
        definition["targets"][0]["address"] = "no topic/{{ thing:nothing }}".into();
        let said = self.said(self.api.ask("PUT", &path(id, ""), Some(&definition)), &[400], |_| Ok(()))?;
        ensure!(!matches!(said, Said::Changed(_)), "`{id}`: a definition that is wrong was taken");
        self.enter(id, change, said, before, true)
    }

    /// A PUT for a revision that there is no more, or not yet, is refused.
    fn put_stale(&mut self, id: &str) -> anyhow::Result<Said> {
        let (before, _) = self.now(id);
        let (change, definition) = self.definition(Some(id), true);
        let answer = self.api.put_if(id, "\"rev:987654321\"", &definition);
        let said = self.said(answer, &[412], |_| Ok(()))?;
        ensure!(!matches!(said, Said::Changed(_)), "`{id}`: a precondition was not looked at");
        self.enter(id, change, said, before, true)
    }

    /// Another definition, and what it does.
    fn definition(&mut self, id: Option<&str>, is_own: bool) -> (Change, Value) {
        let is_open = self.below(2) == 0;
        let number = self.common.definitions.next(is_own);
        let definition = self.common.definitions.text(number, id, is_open);
        (Change::Define { definition: number, is_open }, definition)
    }

    /// The newest number of a connection, and how it is if nobody else changes it.
    fn now(&self, id: &str) -> (u64, State) {
        let book = self.common.book();
        (book.newest(id), book.state(id))
    }

    fn is_there(answer: &Answer, kept: Option<Kept>, is_own: bool) -> anyhow::Result<()> {
        let is_missing = answer.status == 404;
        ensure!(!is_own || is_missing == kept.is_none(), "{} of {kept:?}: {}", answer.status, answer.text());
        Ok(())
    }

    fn said(
        &self,
        answer: anyhow::Result<Answer>,
        refusals: &[u16],
        check: impl FnOnce(&Answer) -> anyhow::Result<()>,
    ) -> anyhow::Result<Said> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(_) if self.common.is_killed.load(Ordering::Acquire) => return Ok(Said::Nothing),
            Err(error) => return Err(error.context("no answer, and nobody has killed it")),
        };
        check(&answer)?;
        let number = answer.header("entity-revision").map(str::parse).transpose()?;
        Ok(match answer.status {
            200 | 201 | 204 => Said::Changed(number),
            // It is kept, and does not connect.
            504 if answer.json()["error"] == "connectivity:connection.failed" => Said::Changed(None),
            status if refusals.contains(&status) => Said::Refused,
            status => bail!("{status} {}", answer.text()),
        })
    }

    fn enter(&self, id: &str, change: Change, said: Said, before: u64, is_own: bool) -> anyhow::Result<Said> {
        // Nobody else has changed what is its own.
        let due = is_own.then_some(before + 1);
        let said = match (said, due) {
            (Said::Changed(None), Some(due)) => Said::Changed(Some(due)),
            (Said::Changed(Some(number)), Some(due)) if number != due => {
                bail!("`{id}`: {change:?} has number {number} instead of {due}")
            }
            (said, _) => said,
        };
        self.common.book().enter(id, change, said, before).map_err(|why| anyhow!(why))?;
        Ok(said)
    }
}
