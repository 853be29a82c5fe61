//! `explain`

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use ditto_authorization::{Enforcer, Policy};
use ditto_connection::{Connection, Draft, Finding, ValidationReport};
use ditto_outbound::{
    CompiledConnection, Directory, DirectoryAnswer, Explainer, RoutedSignal, TargetExplanation, Verdict,
};
use ditto_protocol::{PolicyId, Signal};
use tokio::runtime::{Handle, Runtime};

use super::input::{Source, Thing, each_signal, read_text};
use super::mistake::Mistake;
use super::output::{Answer, Output, Stop};
use super::shown::plain;
use crate::cli::ExplainArgs;
use crate::config::Config;
use crate::connecting::{NOT_CONSUMED, not_consumed, sources_json};
use crate::directory::{LaneDirectory, SharedDirectory};
use crate::mappers::{read_definition, run_options};
use crate::process::runtime;

pub(super) fn run(args: &ExplainArgs, output: &mut Output) -> Result<(), Stop> {
    let connection = connection(&args.connection)?;
    if let Some(target) = args.target.filter(|target| *target >= connection.targets().len()) {
        let has = connection.targets().len();
        return Err(Stop::Usage(format!(
            "there is no target {target}: the connection has {has}, counted from 0"
        )));
    }
    let mut directory = match &args.config {
        Some(config) => Asked::Service(Service::start(config)?),
        None => Asked::Files(Files::read(args)?),
    };
    let mut explainer = Explainer::new(CompiledConnection::compile(&connection, &run_options()));
    let stdin = ["-".into()];
    let signals = if args.on.signal.is_empty() { &stdin } else { args.on.signal.as_slice() };
    each_signal(signals, |source, signal| match signal {
        Ok(signal) => {
            let signal = Arc::new(signal);
            let mut explained = directory.explain(&mut explainer, &signal);
            if let Some(target) = args.target {
                explained = explained.into_iter().skip(target).take(1).collect();
            }
            let mut answer = answer(source, &signal, &explained);
            tell_of_sources(&mut answer, &not_consumed(&connection));
            output.answer(&answer)
        }
        Err(mistake) => output.mistake(&mistake),
    })
}

fn answer(source: &Source<'_>, signal: &RoutedSignal, explained: &[TargetExplanation]) -> Answer {
    let signal = signal.signal();
    let mut answer = Answer::default();
    let line = format!("{source}: {} {}", plain(signal.topic()), plain(signal.path()));
    answer.say(&line, "signal", source.to_string());
    answer.member("topic", signal.topic());
    answer.member("path", signal.path());
    if explained.is_empty() {
        answer.below("the connection has no targets");
    }
    explained.iter().for_each(|explained| answer.below(&explained.to_string()));
    answer.member("targets", explained.iter().map(TargetExplanation::to_json).collect::<Vec<_>>());
    answer
}

/// Whoever looks for messages from Kafka is told where they are.
fn tell_of_sources(answer: &mut Answer, addresses: &[&str]) {
    if addresses.is_empty() {
        return;
    }
    addresses.iter().for_each(|address| answer.below(&format!("source {}: {NOT_CONSUMED}", plain(address))));
    answer.member("sources", sources_json(addresses));
}

/// The first mistake is told; `run --check` tells all.
fn connection(file: &Path) -> Result<Connection, Stop> {
    let text = read_text("connection", file)?;
    let mistake = |report: ValidationReport| {
        let findings = report.findings().iter().map(Finding::to_string).collect::<Vec<_>>().join("; ");
        Mistake::in_file(
            "connection",
            &file.display(),
            "connectivity:connection.configuration.invalid",
            findings,
        )
    };
    Ok(read_definition(Draft::of_file(&text)).map_err(mistake)?)
}

/// Who is asked for policies and things.
enum Asked {
    Files(Files),
    Service(Service),
}

impl Asked {
    fn explain(&mut self, explainer: &mut Explainer, signal: &Arc<RoutedSignal>) -> Vec<TargetExplanation> {
        match self {
            Self::Files(files) => explainer.explain(signal, files),
            Self::Service(service) => service.explain(explainer, signal),
        }
    }
}

/// The directory of a configuration.
struct Service {
    runtime: Runtime,
    lane: LaneDirectory,
    /// Looks up as long as it is there.
    _shared: SharedDirectory,
}

/// How long its answers are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Service {
    fn start(config: &Path) -> Result<Self, Stop> {
        let config = Config::load(config).map_err(|errors| Stop::Unavailable(errors.to_string()))?;
        let Some(directory) = config.directory else {
            return Err(Stop::Usage(
                "the configuration has no [directory]; name files with --policy and --thing".to_owned(),
            ));
        };
        let unavailable = |error: &dyn std::fmt::Display| Stop::Unavailable(error.to_string());
        let runtime = runtime().map_err(|error| unavailable(&error))?;
        let shared =
            SharedDirectory::start(&directory, runtime.handle()).map_err(|error| unavailable(&error))?;
        Ok(Self { lane: shared.lane(), runtime, _shared: shared })
    }

    fn explain(&mut self, explainer: &mut Explainer, signal: &Arc<RoutedSignal>) -> Vec<TargetExplanation> {
        explain_with(&mut self.lane, self.runtime.handle(), explainer, signal)
    }
}

/// Explains a signal with what the directory answers in time. Blocks.
pub(crate) fn explain_with(
    lane: &mut LaneDirectory,
    runtime: &Handle,
    explainer: &mut Explainer,
    signal: &Arc<RoutedSignal>,
) -> Vec<TargetExplanation> {
    let until = tokio::time::Instant::now() + PATIENCE;
    let mut news = Vec::new();
    lane.observe(signal.signal());
    loop {
        let explained = explainer.explain(signal, lane);
        let is_unknown = |explained: &TargetExplanation| matches!(explained.verdict(), Verdict::Unknown(_));
        if !explained.iter().any(is_unknown) {
            return explained;
        }
        let answer = poll_fn(|cx| lane.poll_answers(cx, &mut news));
        if runtime.block_on(async { tokio::time::timeout_at(until, answer).await }).is_err() {
            // By now it may know why it has no answer.
            return explainer.explain(signal, lane);
        }
    }
}

/// A directory of what the command line names: one thing, and its policy with those that it imports.
struct Files {
    policy: Option<Arc<Policy>>,
    imported: Vec<Arc<Policy>>,
    thing: Option<Arc<str>>,
    /// That of the last signal, with the namespace of its thing.
    compiled: Option<(Option<String>, Arc<Enforcer>)>,
}

impl Files {
    fn read(args: &ExplainArgs) -> Result<Self, Stop> {
        let read = |file: &std::path::PathBuf| {
            let text = read_text("policy", file)?;
            let wrong = |error: &dyn std::error::Error, code| {
                Mistake::in_file("policy", &file.display(), code, error.to_string())
            };
            let policy: Policy = text.parse().map_err(|error| wrong(&error, "policies:invalid"))?;
            // What cannot be compiled for any thing is told before signals are looked at.
            Enforcer::compile(&policy, None, SystemTime::now(), |_| None)
                .map_err(|error| wrong(&error, "policies:invalid"))?;
            Ok::<_, Stop>(Arc::new(policy))
        };
        let mut policies = args.policy.iter().map(read).collect::<Result<Vec<_>, _>>()?.into_iter();
        let policy = policies.next();
        let thing = args.thing.as_deref().map(Thing::read).transpose()?;
        Ok(Self {
            policy,
            imported: policies.collect(),
            thing: thing.map(|it| it.into_text().into()),
            compiled: None,
        })
    }
}

impl Directory for Files {
    fn observe(&mut self, _: &Signal) {}

    fn enforcer(&mut self, signal: &Signal) -> DirectoryAnswer<Arc<Enforcer>> {
        let Some(policy) = &self.policy else { return DirectoryAnswer::Pending };
        let namespace = signal.entity().namespace();
        if let Some((known, enforcer)) = &self.compiled
            && known.as_deref() == namespace
        {
            return DirectoryAnswer::Known(enforcer.clone());
        }
        let imported = |id: &PolicyId| self.imported.iter().find(|policy| policy.id() == Some(id)).cloned();
        match Enforcer::compile(policy, namespace, SystemTime::now(), imported) {
            Ok(enforcer) => {
                let enforcer = Arc::new(enforcer);
                self.compiled = Some((namespace.map(str::to_owned), enforcer.clone()));
                DirectoryAnswer::Known(enforcer)
            }
            // It was compiled before; with imports it is past a bound.
            Err(_) => DirectoryAnswer::Absent,
        }
    }

    fn thing(&mut self, _: &Signal) -> DirectoryAnswer<Arc<str>> {
        self.thing.clone().map_or(DirectoryAnswer::Pending, DirectoryAnswer::Known)
    }

    fn poll_answers(&mut self, _: &mut Context<'_>, _: &mut Vec<String>) -> Poll<()> {
        Poll::Pending
    }

    fn trouble(&self) -> Option<String> {
        Some(match (&self.policy, &self.thing) {
            (None, _) => {
                "nothing says who may read the signal: name the policy of its thing (--policy), or a signal with the header \
                 `ditto-read-subjects`".to_owned()
            }
            _ => "extra fields are asked for: name a file with the thing (--thing)".to_owned(),
        })
    }
}
