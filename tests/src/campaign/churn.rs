//! Does the store hold what was answered, whenever the process is killed? Clients create, change, open, close and delete
//! connections, all at the same time, and then the service is killed; a connection that nobody touches goes on meanwhile.

mod book;
mod client;
mod definitions;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, anyhow, ensure};
use ditto_connection::{Connection, ConnectionStatus};
use ditto_connectivity::{ConnectionStore, EmbeddedStore, Loaded, StoreKey, StoreKeys};
use serde::Serialize;
use serde_json::Value;

use self::book::{Book, Change, Kept, Said, State};
use self::client::{Client, Common};
use self::definitions::Definitions;
use super::driver::Driver;
use super::oracle::Plain;
use super::work::{CONNECTION, Work};
use super::{FEED_PARTITIONS, Faults, Load, Plan, SPAN, Verdict};
use crate::api::{Api, path};
use crate::broker::Broker;
use crate::process::Held;
use crate::secrets;
use crate::service::{Service, Setup, definition};

/// What is changed, and how often the service is killed.
#[derive(Debug, Clone)]
pub struct Churn {
    /// Decides everything that is left to chance but how the clients' changes meet.
    pub seed: u64,
    /// How often the service is killed.
    pub kills: usize,
    /// So many changes are answered before each kill.
    pub changes: usize,
    /// Signals a second for the connection that nobody touches.
    pub rate: u64,
    /// Where the service's logs go. Without it they are kept only if the run was not good, as a temporary file.
    pub logs: Option<PathBuf>,
}

/// What it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChurnOutcome {
    /// What the judge says of the records of the connection that nobody touches.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How often the service was killed.
    pub kills: usize,
    /// Changes that were answered, and made.
    pub changed: usize,
    /// Changes that were answered, and refused as they had to be.
    pub refused: usize,
    /// Changes that were not answered.
    pub unanswered: usize,
    /// Of those: how many were made all the same.
    pub kept: usize,
    /// How often what is kept was not what may be, or something else was wrong.
    pub wrong: usize,
    /// Signals that the feed has acknowledged.
    pub signals: usize,
    /// The bound for records that came again.
    pub duplicates_allowed: usize,
    /// What the first process held before anybody changed anything.
    pub base: Held,
    /// What the last process held once all was deleted.
    pub left: Held,
    /// The seed.
    pub seed: u64,
    /// Other findings than those of the judge, in sentences.
    #[serde(skip)]
    pub findings: Vec<String>,
}

const CLIENTS: usize = 8;
/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(90);

impl ChurnOutcome {
    /// Whether nothing that was answered is gone, nothing else is there, nobody else has lost a signal, and all is given back.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let is_kept = self.wrong == 0 && self.changed > 0 && self.left.is_within(self.base);
        is_kept && self.verdict.is_right() && self.verdict.duplicates <= self.duplicates_allowed
    }
}

/// Runs it against the broker of this run. `progress` is told what happens.
///
/// # Errors
/// A request is answered as it must not be, or the service does not get on.
pub fn run(plan: &Churn, program: &str, mut progress: impl FnMut(String)) -> anyhow::Result<ChurnOutcome> {
    let mut stage = Stage::open(plan, program)?;
    let result = stage.play(plan, &mut progress);
    let is_good = result.as_ref().is_ok_and(ChurnOutcome::is_good);
    let kept = (!is_good).then(|| std::env::temp_dir().join(format!("{}.log", stage.name)));
    if let Some(file) = plan.logs.clone().or(kept) {
        stage.log += &stage.service.as_ref().map(Service::log).transpose()?.unwrap_or_default();
        result.iter().flat_map(|outcome| &outcome.findings).for_each(|it| stage.log += &format!("{it}\n"));
        fs::write(&file, &stage.log).context("cannot keep the logs")?;
        progress(format!("the logs of the service are in {}", file.display()));
    }
    result
}

/// The service, and what it works on.
struct Stage {
    name: String,
    feed: String,
    broker: Broker,
    work: Arc<dyn Work>,
    setup: Setup,
    service: Option<Service>,
    api: Api,
    common: Common,
    /// The connection that nobody touches.
    untouched: Value,
    findings: Vec<String>,
    /// What processes that have ended have logged.
    log: String,
}

impl Stage {
    fn open(plan: &Churn, program: &str) -> anyhow::Result<Self> {
        let broker = Broker::of_this_run()?;
        let work: Arc<dyn Work> = Arc::new(Plain { seed: plan.seed });
        let name = format!("churn-{}-{}", plan.seed, std::process::id());
        let (feed, churned) = (format!("{name}-feed"), format!("{name}-churned"));
        broker.create_topic(&feed, FEED_PARTITIONS as i32, &[])?;
        broker.create_topic(&churned, 3, &[])?;
        for target in work.targets() {
            broker.create_topic(&format!("{name}-{target}"), 3, &[])?;
        }
        let setup = Setup::new(program)?;
        // Whoever comes after a kill is the same member of the group.
        setup.managed(&broker, &feed, "instance_id = \"one\"", "")?;
        let service = setup.start_run()?;
        let api = Api::of(&service)?;
        let mut untouched = definition(CONNECTION, &broker.listeners.plaintext, &Value::Null);
        work.define(&name, &mut untouched);
        let common = Common {
            definitions: Definitions::new(&broker, &churned),
            book: Mutex::new(Book::default()),
            is_killed: AtomicBool::new(false),
        };
        Ok(Self {
            name,
            feed,
            broker,
            work,
            setup,
            service: Some(service),
            api,
            common,
            untouched,
            findings: Vec::new(),
            log: String::new(),
        })
    }

    fn play(&mut self, plan: &Churn, progress: &mut impl FnMut(String)) -> anyhow::Result<ChurnOutcome> {
        let base = self.begin()?;
        progress(format!("seed {}, base {base:?}", plan.seed));
        let written = Plan {
            seed: plan.seed,
            faults: Faults::default(),
            load: Load::Plain,
            rate: plan.rate,
            signals: None,
            logs: None,
        };
        let driver = Driver::start(&self.broker, &self.feed, &written, self.work.clone());
        let mut clients: Vec<_> = (0..CLIENTS).map(|n| Client::new(n, plan.seed)).collect();
        for round in 1..=plan.kills {
            let (start, before) = (Instant::now(), self.common.book().counts);
            self.churn(&mut clients, plan.changes)?;
            let took = start.elapsed();
            let loaded = self.compare_store()?;
            self.start()?;
            self.compare_api(&loaded)?;
            self.delete_strangers(&clients, &loaded)?;
            let flows = self.wait_for_signals(500)?;
            let now = self.common.book().counts;
            progress(format!(
                "kill {round}: {} changes and {} refusals in {:.1} s, {} without an answer, {} of them kept; {} connections; \
                 signals flow after {:.1} s; {} findings",
                now.changed - before.changed,
                now.refused - before.refused,
                took.as_secs_f64(),
                now.unanswered - before.unanswered,
                now.kept - before.kept,
                loaded.records.len(),
                flows.as_secs_f64(),
                self.findings.len()
            ));
        }
        let left = self.delete_all(base)?;
        progress(format!("left {left:?}"));
        let sent = driver.finish()?;
        self.close()?;
        let mut verdict = Verdict::default();
        for target in 0..self.work.targets().len() {
            let topic = self.topic(target);
            verdict.add(&*self.work, &sent, target, &self.broker.contents(&topic)?, &topic);
            self.broker.delete_topic(&topic)?;
        }
        self.broker.delete_topic(&self.feed)?;
        self.findings.extend(std::mem::take(&mut verdict.findings));
        self.findings.iter().take(20).for_each(|finding| progress(finding.clone()));
        let counts = self.common.book().counts;
        let of_judge = verdict.lost + verdict.phantom + verdict.unequal + verdict.reordered;
        Ok(ChurnOutcome {
            kills: plan.kills,
            changed: counts.changed,
            refused: counts.refused,
            unanswered: counts.unanswered,
            kept: counts.kept,
            wrong: self.findings.len().saturating_sub(of_judge),
            signals: sent.acknowledged.len(),
            // A process that is killed has lost its partitions.
            duplicates_allowed: SPAN * self.work.targets().len() * FEED_PARTITIONS * plan.kills,
            base,
            left,
            seed: plan.seed,
            findings: std::mem::take(&mut self.findings),
            verdict,
        })
    }

    /// Opens the connection that nobody touches, and has some others live: some things are made once for the process. What it
    /// holds then.
    fn begin(&self) -> anyhow::Result<Held> {
        let created = self.api.ask("PUT", &path(CONNECTION, ""), Some(&self.untouched))?;
        ensure!(created.status == 201, "{}", created.text());
        let opened = self.api.command(CONNECTION, "openConnection")?;
        ensure!(opened.status == 200, "{}", opened.text());
        let before = self.held()?;
        for number in 0..12 {
            let definition = self.common.definitions.text(number, Some("first"), true);
            ensure!(self.api.ask("PUT", &path("first", ""), Some(&definition))?.status == 201);
            let opened = self.api.command("first", "openConnection")?;
            ensure!([200, 504].contains(&opened.status), "{}", opened.text());
            ensure!(self.api.ask("DELETE", &path("first", ""), None)?.status == 204);
        }
        patiently("the clients of the first are gone", || Ok(self.held()?.clients <= before.clients))?;
        self.service()?.held_at_rest()
    }

    /// Has clients change connections until so many changes are answered, and kills the service.
    fn churn(&mut self, clients: &mut [Client], changes: usize) -> anyhow::Result<()> {
        let service = self.service.take().context("no service")?;
        let (common, api) = (&self.common, &self.api);
        let answered = || {
            let counts = common.book().counts;
            counts.changed + counts.refused
        };
        let due = answered() + changes;
        common.is_killed.store(false, Ordering::Release);
        let ended = thread::scope(|scope| -> anyhow::Result<_> {
            let working: Vec<_> =
                clients.iter_mut().map(|client| scope.spawn(|| client.work(common, api))).collect();
            // One that has ended has found a mistake.
            while answered() < due && !working.iter().any(|client| client.is_finished()) {
                thread::sleep(Duration::from_millis(1));
            }
            common.is_killed.store(true, Ordering::Release);
            let ended = service.kill();
            for client in working {
                client.join().map_err(|_| anyhow!("a client panicked"))??;
            }
            ended
        })?;
        self.log += &ended.stderr;
        Ok(())
    }

    /// Compares the file with what was answered.
    fn compare_store(&mut self) -> anyhow::Result<Loaded> {
        let key = StoreKey::from_base64(&secrets::store_key().into())?;
        let loaded = EmbeddedStore::open(&self.setup.path("store"), StoreKeys::new(key))?.load()?;
        let unreadable = loaded.unreadable.iter();
        self.findings.extend(unreadable.map(|it| format!("`{}` cannot be read: {}", it.name, it.reason)));
        let deleted = loaded.deleted.iter();
        let mut found: BTreeMap<String, State> = deleted
            .map(|(id, sequence)| (id.to_string(), State { sequence: *sequence, kept: None }))
            .collect();
        let mut is_there = false;
        for record in &loaded.records {
            let (id, connection) = (record.connection.id().as_str(), &*record.connection);
            if id == CONNECTION {
                is_there =
                    *connection == Connection::from_json(&self.untouched.to_string()).map_err(refused)?;
                continue;
            }
            let definition = connection.name().context("no name")?.parse()?;
            let is_open = connection.status() == ConnectionStatus::Open;
            let kept = Kept { definition, is_open, revision: record.revision };
            found.insert(id.to_owned(), State { sequence: record.sequence, kept: Some(kept) });
            // With its secrets.
            if *connection != self.common.definitions.connection(definition, id, is_open)? {
                self.findings.push(format!("`{id}` is not as its definition {definition}"));
            }
        }
        if !is_there {
            self.findings.push("what nobody touches is not as it was".to_owned());
        }
        // A first life that was gone before anybody looked.
        found.remove("first");
        self.findings.extend(self.common.book().check(&found));
        Ok(loaded)
    }

    fn start(&mut self) -> anyhow::Result<()> {
        let service = self.service.insert(self.setup.start_run()?);
        self.api = Api::of(service)?;
        Ok(())
    }

    /// Compares what the service answers, started again, with what the file had: each member, and what stands beside.
    fn compare_api(&mut self, loaded: &Loaded) -> anyhow::Result<()> {
        let due: Vec<Value> = loaded.records.iter().map(|it| it.connection.to_json()).collect();
        let listed = self.api.ask("GET", "/api/2/connections", None)?.json();
        let listed = listed.as_array().context("no list")?;
        if *listed != due {
            let differs = listed.iter().zip(&due).find(|(listed, due)| listed != due);
            self.findings.push(format!("{} of {} are listed, first {differs:?}", listed.len(), due.len()));
        }
        let fields = "/api/2/connections?fields=id,_revision,_created,_modified";
        let beside = self.api.ask("GET", fields, None)?.json();
        let text = |time: SystemTime| Ok::<_, anyhow::Error>(jiff::Timestamp::try_from(time)?.to_string());
        for (record, beside) in loaded.records.iter().zip(beside.as_array().context("no list")?) {
            let is_same = beside["id"] == record.connection.id().as_str()
                && beside["_revision"] == record.revision
                && beside["_created"] == *text(record.created)?
                && beside["_modified"] == *text(record.modified)?;
            if !is_same {
                self.findings.push(format!("{beside} is not what stands beside {record:?}"));
            }
        }
        Ok(())
    }

    /// Deletes connections of whom nobody knows: their ids were not answered.
    fn delete_strangers(&self, clients: &[Client], loaded: &Loaded) -> anyhow::Result<()> {
        let known: BTreeSet<&str> = clients.iter().flat_map(Client::connections).collect();
        let ids = loaded.records.iter().map(|it| it.connection.id().as_str());
        for id in ids.filter(|id| !known.contains(id) && !id.starts_with("common") && *id != CONNECTION) {
            self.delete(id)?;
        }
        Ok(())
    }

    fn delete(&self, id: &str) -> anyhow::Result<()> {
        let answer = self.api.ask("DELETE", &path(id, ""), None)?;
        ensure!(answer.status == 204, "`{id}`: {} {}", answer.status, answer.text());
        let mut book = self.common.book();
        let number = answer.header("entity-revision").context("no number")?.parse()?;
        let before = book.newest(id);
        book.enter(id, Change::Delete, Said::Changed(Some(number)), before).map_err(|why| anyhow!(why))
    }

    /// Deletes all but the one that nobody touches; what the process holds then, once that is what it held before.
    fn delete_all(&mut self, base: Held) -> anyhow::Result<Held> {
        let ids = self.api.ask("GET", "/api/2/connections?ids-only=true", None)?.json();
        for id in ids.as_array().context("no list")?.iter().filter_map(Value::as_str) {
            if id != CONNECTION {
                self.delete(id)?;
            }
        }
        let left = patiently("all is given back", || Ok(self.held()?.is_within(base)));
        if let Err(error) = left {
            self.findings.push(error.to_string());
        }
        self.held()
    }

    /// Waits until all signals are settled, and stops the service.
    fn close(&mut self) -> anyhow::Result<()> {
        let group = format!("{}.{CONNECTION}", self.feed);
        patiently("all signals are settled", || Ok(self.broker.lag(&self.feed, &group)? == 0))?;
        let ended = self.service.take().context("no service")?.stop()?;
        ended.expect_code(0)?;
        self.log += &ended.stderr;
        Ok(())
    }

    /// Waits until so many records more have come out of the connection that nobody touches.
    fn wait_for_signals(&self, records: usize) -> anyhow::Result<Duration> {
        let (start, topic) = (Instant::now(), self.topic(0));
        let before = self.broker.count(&topic)?;
        patiently("signals flow", || Ok(self.broker.count(&topic)? >= before + records))?;
        Ok(start.elapsed())
    }

    fn topic(&self, target: usize) -> String {
        format!("{}-{}", self.name, self.work.targets().get(target).copied().unwrap_or_default())
    }

    fn service(&self) -> anyhow::Result<&Service> {
        self.service.as_ref().context("no service")
    }

    fn held(&self) -> anyhow::Result<Held> {
        self.service()?.held()
    }
}

fn refused(report: ditto_connection::ValidationReport) -> anyhow::Error {
    anyhow!("{}", report.to_json())
}

fn patiently(what: &str, is_so: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let start = Instant::now();
    while !is_so()? {
        ensure!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
