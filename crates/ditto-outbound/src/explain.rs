//! Why a signal is published to a target, or not: each decision in order, by the stacks that publish.

mod mapping;
mod readers;
mod record;
mod show;
mod topics;

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::{Map, Value};
use tower::Service;

use crate::ask;
use crate::directory::Directory;
use crate::leaf::Destined;
use crate::map::Prepared;
use crate::mappers::TargetMapping;
use crate::outcome::{DeliverError, DropReason};
use crate::router::{Router, Selection, TargetRef};
use crate::signal::{RoutedSignal, Selected};
use crate::stack::{self, Deliver, Prepare};
use crate::stage::Immediate;
use crate::target::{CompiledConnection, CompiledTarget};

/// Explains what one connection makes of signals.
#[derive(Debug)]
pub struct Explainer {
    connection: Arc<CompiledConnection>,
    router: Router,
    prepare: Prepare,
    deliver: Deliver<Record>,
}

/// What becomes of a signal at one target, and why. `Display` is for people, [`Self::to_json`] for programs.
#[derive(Debug, Clone)]
pub struct TargetExplanation {
    connection_id: Arc<str>,
    target: Arc<CompiledTarget>,
    decisions: Vec<Decision>,
    records: Vec<Destined>,
    verdict: Verdict,
}

/// How it ends.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// Each record would be handed to the brokers.
    Published,
    /// The signal is not for this target: the first decision that does not pass says why.
    NotSelected,
    /// The directory has not told what decides it, and why not: in a lane the signal waits.
    Unknown(String),
    /// Dropped on purpose.
    Dropped(DropReason),
    /// Failed before it reached the brokers.
    Failed(DeliverError),
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
struct Decision {
    step: &'static str,
    /// Whether the signal goes on.
    passes: bool,
    says: String,
    /// What would let it go on.
    remedy: Option<String>,
    /// For people, below what it says.
    lines: Vec<String>,
    /// For programs.
    details: Map<String, Value>,
}

impl Decision {
    fn new(step: &'static str, passes: bool, says: impl Into<String>) -> Self {
        Self { step, passes, says: says.into(), remedy: None, lines: Vec::new(), details: Map::new() }
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    fn below(mut self, text: &str) -> Self {
        self.lines.extend(text.lines().map(str::to_owned));
        self
    }
}

impl Explainer {
    /// Of a connection whose targets count nothing of this.
    pub fn new(connection: Arc<CompiledConnection>) -> Self {
        let router = Router::new(vec![connection.clone()]);
        Self { connection, router, prepare: stack::prepare(), deliver: stack::deliver(Record) }
    }

    /// What each target of the connection makes of the signal, in their order. The directory is asked as by a lane.
    pub fn explain(
        &mut self,
        signal: &Arc<RoutedSignal>,
        directory: &mut dyn Directory,
    ) -> Vec<TargetExplanation> {
        let mut selected = Selection::default();
        let waits = (!ask::select(&self.router, directory, signal, &mut selected)).then(|| {
            let trouble = directory.trouble();
            trouble.unwrap_or_else(|| "the directory has not answered yet".to_owned())
        });
        let connection = self.connection.clone();
        let explain = |(target, compiled): (usize, &Arc<CompiledTarget>)| {
            let is_selected = selected.targets.contains(&TargetRef { connection: 0, target });
            self.of_target(signal, compiled, is_selected, waits.as_deref())
        };
        connection.targets().iter().enumerate().map(explain).collect()
    }

    fn of_target(
        &mut self,
        signal: &Arc<RoutedSignal>,
        target: &Arc<CompiledTarget>,
        is_selected: bool,
        waits: Option<&str>,
    ) -> TargetExplanation {
        let mut decisions = vec![topics::origin(signal, &self.connection), topics::kind(signal, target)];
        let goes_on = |decisions: &[Decision]| decisions.iter().all(|decision| decision.passes);
        if goes_on(&decisions) {
            decisions.push(topics::namespace(signal, target));
        }
        let is_for = goes_on(&decisions);
        if is_for && signal.audience().is_some() {
            decisions.push(readers::subjects(signal, target));
        } else if is_for && waits.is_none() {
            decisions.push(readers::nobody());
        }
        let mut records = Vec::new();
        let verdict = match waits.filter(|_| is_for) {
            Some(why) => Verdict::Unknown(why.to_owned()),
            None if !is_selected => Verdict::NotSelected,
            None => self.of_selected(signal, target, &mut decisions, &mut records),
        };
        TargetExplanation {
            connection_id: self.connection.id().into(),
            target: target.clone(),
            decisions,
            records,
            verdict,
        }
    }

    /// Takes the signal through the stacks, and says what each of their steps has looked at.
    fn of_selected(
        &mut self,
        signal: &Arc<RoutedSignal>,
        target: &Arc<CompiledTarget>,
        decisions: &mut Vec<Decision>,
        records: &mut Vec<Destined>,
    ) -> Verdict {
        let (view, readable) = readers::view(signal, target);
        decisions.extend(view);
        if let Some(readable) = &readable {
            decisions.extend(topics::filters(signal, readable, target));
        }
        let selected = Selected { signal: signal.clone(), target: target.clone() };
        let prepared = self.prepare.call(selected).into_output();
        if let (Some((signal, mapping)), TargetMapping::Mappers(list)) =
            (self.prepare.inner_mut().inner_mut().take_last(), target.mapping())
        {
            decisions.push(mapping::of_mappers(signal.get(), target, list, &mapping));
        }
        let messages = match prepared {
            Ok(Prepared::Message(message)) => vec![Ok(message)],
            Ok(Prepared::Messages(messages)) => messages,
            Ok(Prepared::Dropped(reason)) => return Verdict::Dropped(reason),
            Err(error) => return Verdict::Failed(error),
        };
        // Headers and address are of the signal: for each of its messages the same.
        if let Some(message) = messages.iter().flatten().next() {
            decisions.extend(record::of_message(message.signal.get(), target));
        }
        let mut verdict = Verdict::Published;
        for message in messages {
            let end = match message.and_then(|message| self.deliver.call(message).into_output()) {
                Ok(Recorded::Record(record)) => {
                    records.push(*record);
                    continue;
                }
                Ok(Recorded::Dropped(reason)) => Verdict::Dropped(reason),
                Err(error) => Verdict::Failed(error),
            };
            if matches!(verdict, Verdict::Published) {
                verdict = end;
            }
        }
        verdict
    }
}

impl TargetExplanation {
    /// The address of the target as it is configured.
    pub fn address(&self) -> &str {
        self.target.address_text()
    }

    /// How it ends.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The records that would be handed to the brokers. If several mappers make several, there may be some though another
    /// mapper has failed.
    pub fn records(&self) -> &[Destined] {
        &self.records
    }

    /// The cause, if nothing is published: what was found where it ended.
    pub fn because(&self) -> Option<String> {
        let decision = self.ended_at().map(|decision| decision.says.clone());
        match &self.verdict {
            Verdict::Published => None,
            Verdict::NotSelected => decision,
            Verdict::Unknown(why) => Some(why.clone()),
            Verdict::Dropped(reason) => decision.or_else(|| Some(reason.to_string())),
            Verdict::Failed(error) => decision.or_else(|| Some(error.to_string())),
        }
    }

    /// What would help.
    pub fn remedy(&self) -> Option<String> {
        let decision = self.ended_at().and_then(|decision| decision.remedy.clone());
        match &self.verdict {
            Verdict::Published => None,
            Verdict::Unknown(_) => Some("let the directory know the thing and its policy".to_owned()),
            Verdict::Failed(error) => decision.or_else(|| Some(error.kind().remedy().to_owned())),
            _ => decision,
        }
    }

    fn ended_at(&self) -> Option<&Decision> {
        self.decisions.iter().find(|decision| !decision.passes)
    }
}

/// The leaf that does not send.
#[derive(Debug, Clone, Copy)]
struct Record;

/// What would have been sent.
#[derive(Debug)]
enum Recorded {
    Record(Box<Destined>),
    Dropped(DropReason),
}

impl From<DropReason> for Recorded {
    fn from(reason: DropReason) -> Self {
        Self::Dropped(reason)
    }
}

impl Service<Destined> for Record {
    type Response = Recorded;
    type Error = DeliverError;
    type Future = Ready<Result<Recorded, DeliverError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DeliverError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, record: Destined) -> Self::Future {
        ready(Ok(Recorded::Record(Box::new(record))))
    }
}

#[cfg(test)]
mod tests;
