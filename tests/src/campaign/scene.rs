//! The service, its broker and what is between them; and how each fault is made to happen and proven.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::fault::{Fault, Faults, Trouble};
use super::host::Host;
use super::ledger::{Account, Ledger};
use super::work::{CONNECTION, Signal, Work};
use super::{FEED_PARTITIONS, Plan};
use crate::broker::Broker;
use crate::process::Frozen;
use crate::proxy::{Mode, Proxy};
use crate::secrets::secret;
use crate::service::{Service, Setup, definition};

/// Everything that a fault can happen to.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) name: String,
    pub(super) feed: String,
    /// Faults that are proven to have happened.
    pub(super) proven: Faults,
    /// Partitions that an instance has lost before it was done with them.
    pub(super) rewound: usize,
    /// How often the counters of a process were read.
    pub(super) readings: usize,
    /// What was wrong with them.
    pub(super) unbalanced: Vec<String>,
    seed: u64,
    work: Arc<dyn Work>,
    ledger: Ledger,
    watched: Instant,
    host: Host,
    proxy: Option<Proxy>,
    first: Setup,
    second: Setup,
    service: Option<Service>,
    guest: Option<Service>,
    /// What instances that have ended have logged.
    log: String,
}

const TARGET_PARTITIONS: i32 = 3;
/// Longest wait for progress, or for the end.
const PATIENCE: Duration = Duration::from_secs(90);
const SESSION: Duration = Duration::from_secs(6);
/// How long a broker is away, or stands still.
const BROKER_DOWN: Duration = Duration::from_secs(5);
const BROKER_PAUSE: Duration = Duration::from_secs(10);
/// How long a connection is refused before its password is right again.
const REFUSED: Duration = Duration::from_secs(5);

impl Scene {
    /// Makes the topics and starts an instance.
    pub(super) fn open(plan: &Plan, work: Arc<dyn Work>, program: &str) -> anyhow::Result<Self> {
        let host = Host::of_this_run()?;
        let name = format!("campaign-{}-{}", plan.seed, std::process::id());
        let feed = format!("{name}-feed");
        host.broker.create_topic(&feed, FEED_PARTITIONS as i32, &[])?;
        for target in work.targets().iter().chain(has_letters(&*work).then_some(&LETTERS)) {
            host.broker.create_topic(&format!("{name}-{target}"), TARGET_PARTITIONS, &[])?;
        }
        let proxied = &host.broker.listeners.proxied;
        let is_proxied = plan.faults.network + plan.faults.rotations > 0;
        let proxy = is_proxied.then(|| Proxy::start(&proxied.advertised, &proxied.listens)).transpose()?;
        if is_proxied {
            host.broker.set_password(&name, &secret("right"))?;
        }
        let setup = |instance| setup(&host.broker, &*work, program, &name, is_proxied, instance);
        let (first, second) = (setup("one")?, setup("two")?);
        let service = Some(first.start_run()?);
        Ok(Self {
            name,
            feed,
            proven: Faults::default(),
            rewound: 0,
            readings: 0,
            unbalanced: Vec::new(),
            seed: plan.seed,
            ledger: Ledger::open(vec![0; work.targets().len()]),
            work,
            watched: Instant::now(),
            host,
            proxy,
            first,
            second,
            service,
            guest: None,
            log: String::new(),
        })
    }

    pub(super) fn broker(&self) -> &Broker {
        &self.host.broker
    }

    /// What all instances have logged.
    pub(super) fn log(&self) -> anyhow::Result<String> {
        let mut log = self.log.clone();
        for service in self.service.iter().chain(&self.guest) {
            log += &format!("--- pid {}, still there\n{}", service.pid(), service.log()?);
        }
        Ok(log)
    }

    /// Makes a fault happen. What proves that it has.
    pub(super) fn strike(&mut self, fault: Fault) -> anyhow::Result<String> {
        let proof = match fault {
            Fault::Kill => self.kill()?,
            Fault::Stop => self.stop()?,
            Fault::Rebalance => self.rebalance()?,
            Fault::BrokerKill => self.kill_broker()?,
            Fault::BrokerPause => self.pause_broker()?,
            Fault::InstancePause => self.pause_instance()?,
            Fault::Rotation => self.rotate()?,
            Fault::Network => self.trouble()?,
        };
        *self.proven.of(fault) += 1;
        Ok(proof)
    }

    fn kill(&mut self) -> anyhow::Result<String> {
        let service = self.service.take().context("no instance")?;
        let pid = service.pid();
        self.rewound += service.partitions()?.1 + FEED_PARTITIONS;
        self.log += &format!("--- pid {pid}, killed\n{}", service.kill()?.stderr);
        self.turn_page()?;
        let service = self.service.insert(self.first.start_run()?);
        Ok(format!("pid {pid} was killed, {} came", service.pid()))
    }

    fn stop(&mut self) -> anyhow::Result<String> {
        let service = self.service.take().context("no instance")?;
        let pid = service.pid();
        self.end(service)?;
        self.turn_page()?;
        let service = self.service.insert(self.first.start_run()?);
        Ok(format!("pid {pid} ended with code 0, {} came", service.pid()))
    }

    fn rebalance(&mut self) -> anyhow::Result<String> {
        self.invite()?;
        let service = self.guest.take().context("no guest")?;
        let (assigned, _) = service.partitions()?;
        self.end(service)?;
        Ok(format!("another instance had {assigned} partitions"))
    }

    fn kill_broker(&mut self) -> anyhow::Result<String> {
        let (pid, start) = (self.host.broker.pid, Instant::now());
        self.host.kill(BROKER_DOWN)?;
        let now = self.host.broker.pid;
        Ok(format!(
            "broker pid {pid} was killed, {now} answered after {:.1} s",
            start.elapsed().as_secs_f64()
        ))
    }

    fn pause_broker(&mut self) -> anyhow::Result<String> {
        let frozen = Frozen::new(self.host.broker.pid)?;
        stay(BROKER_PAUSE, || frozen.check())?;
        let stood = frozen.thaw()?;
        ensure!(stood > SESSION, "it stood for {stood:?}, which is shorter than a session");
        Ok(format!("the broker was in state T for {:.1} s", stood.as_secs_f64()))
    }

    fn pause_instance(&mut self) -> anyhow::Result<String> {
        self.invite()?;
        let (zombie, guest) =
            (self.service.as_ref().context("no instance")?, self.guest.as_ref().context("no guest")?);
        let (_, revoked_before) = zombie.partitions()?;
        let frozen = Frozen::new(zombie.pid())?;
        // The session is over when the other instance has everything, and the zombie wakes up while that is at work.
        let start = Instant::now();
        let has_all = || guest.partitions().map(|(assigned, revoked)| assigned >= revoked + FEED_PARTITIONS);
        while !has_all()? || start.elapsed() < SESSION + Duration::from_secs(1) {
            frozen.check()?;
            ensure!(start.elapsed() < PATIENCE, "nobody takes over:\n{}", guest.log()?);
            thread::sleep(Duration::from_millis(50));
        }
        self.wait_for_progress(500)?;
        let zombie = self.service.as_ref().context("no instance")?;
        let mut committed = self.committed()?;
        let stood = frozen.thaw()?;
        ensure!(stood > SESSION, "it stood for {stood:?}, which is shorter than a session");
        // What the zombie commits now must be refused: no offset may go back.
        let start = Instant::now();
        while start.elapsed() < SESSION || zombie.partitions()?.1 == revoked_before {
            ensure!(start.elapsed() < PATIENCE, "the zombie does not notice:\n{}", zombie.log()?);
            let now = self.committed()?;
            let went_back = now.iter().zip(&committed).any(|(now, before)| now < before);
            ensure!(!went_back, "the zombie has committed: {committed:?} became {now:?}");
            committed = now;
            thread::sleep(Duration::from_millis(100));
        }
        let guest = self.guest.take().context("no guest")?;
        self.end(guest)?;
        Ok(format!("it was in state T for {:.1} s, and another one had all partitions", stood.as_secs_f64()))
    }

    fn rotate(&mut self) -> anyhow::Result<String> {
        let proxy = self.proxy.as_ref().context("no proxy")?;
        let service = self.service.as_ref().context("no instance")?;
        let refusals = || service.log().map(|log| log.matches("kafka cluster refused").count());
        self.host.broker.set_password(&self.name, &secret("wrong"))?;
        let before = refusals()?;
        // Who is logged in stays so: all have to come again.
        proxy.switch(Mode::Reset);
        let start = Instant::now();
        while proxy.counts().cut < proxy.counts().live.max(1) {
            ensure!(start.elapsed() < PATIENCE, "no connection is cut");
            thread::sleep(Duration::from_millis(20));
        }
        proxy.switch(Mode::Pass);
        while refusals()? == before {
            ensure!(start.elapsed() < PATIENCE, "nobody is refused:\n{}", service.log()?);
            thread::sleep(Duration::from_millis(50));
        }
        stay(REFUSED, || service.expect_running())?;
        let seen = refusals()? - before;
        self.host.broker.set_password(&self.name, &secret("right"))?;
        Ok(format!("the cluster refused the login {seen} times"))
    }

    fn trouble(&mut self) -> anyhow::Result<String> {
        let proxy = self.proxy.as_ref().context("no proxy")?;
        let trouble = Trouble::of(self.seed, self.proven.network);
        proxy.switch(trouble.mode);
        thread::sleep(trouble.lasts);
        let counts = proxy.switch(Mode::Pass);
        ensure!(trouble.has_hit(counts), "{trouble:?} has hit nobody: {counts:?}");
        Ok(format!("{:?} for {:.1} s: {counts:?}", trouble.mode, trouble.lasts.as_secs_f64()))
    }

    /// Starts the second instance, and waits until it has its share and is at work.
    fn invite(&mut self) -> anyhow::Result<()> {
        self.ledger.share();
        let guest = self.guest.insert(self.second.start_run()?);
        guest.wait_for_partitions()?;
        self.wait_for_progress(500)?;
        Ok(())
    }

    /// Stops an instance, in order.
    fn end(&mut self, service: Service) -> anyhow::Result<()> {
        let pid = service.pid();
        // Before it is asked: those it gives back when it stops are done.
        self.rewound += service.partitions()?.1;
        let ended = service.stop()?;
        ended.expect_code(0)?;
        self.log += &format!("--- pid {pid}, stopped\n{}", ended.stderr);
        Ok(())
    }

    /// Waits until everything is settled, and stops the service. `due` is what the counters must be then.
    pub(super) fn close(&mut self, due: Option<&[Account]>) -> anyhow::Result<()> {
        let (mut start, mut least) = (Instant::now(), i64::MAX);
        loop {
            let left = self.host.broker.lag(&self.feed, &self.group()).context("lag of the feed")?;
            if left == 0 {
                break;
            }
            if left < least {
                (start, least) = (Instant::now(), left);
            }
            ensure!(start.elapsed() < PATIENCE, "{left} records of the feed are not settled");
            self.watch()?;
            thread::sleep(Duration::from_millis(50));
        }
        self.read_counters()?;
        self.unbalanced.extend(self.ledger.close(due).err().map(|error| format!("{error:#}")));
        self.readings += self.ledger.read;
        let service = self.service.take().context("no instance")?;
        self.end(service)
    }

    /// The topics of the targets.
    pub(super) fn topics(&self) -> Vec<String> {
        self.work.targets().iter().map(|target| format!("{}-{target}", self.name)).collect()
    }

    /// The topic of dead letters, if there is one.
    pub(super) fn letters(&self) -> Option<String> {
        has_letters(&*self.work).then(|| format!("{}-{LETTERS}", self.name))
    }

    /// Reads the counters of the process, if it is a second ago that they were.
    pub(super) fn watch(&mut self) -> anyhow::Result<()> {
        // One that is stopped, or has not begun, says nothing.
        if self.watched.elapsed() < Duration::from_secs(1) || self.guest.is_some() {
            return Ok(());
        }
        self.watched = Instant::now();
        if self.service.as_ref().context("no instance")?.partitions()?.0 > 0 {
            self.read_counters()?;
        }
        Ok(())
    }

    fn read_counters(&mut self) -> anyhow::Result<()> {
        let before = self.counts()?;
        let status = self.service.as_ref().context("no instance")?.status()?;
        let after = self.counts()?;
        let checked = self.ledger.check(&*self.work, &before, &status, &after);
        self.unbalanced.extend(checked.err().map(|error| format!("{error:#}")));
        Ok(())
    }

    /// A process has ended: what it had on its way is in the topics once they do not grow any more.
    fn turn_page(&mut self) -> anyhow::Result<()> {
        let mut counts = self.counts()?;
        loop {
            thread::sleep(Duration::from_millis(100));
            let now = self.counts()?;
            if now == counts {
                break;
            }
            counts = now;
        }
        self.readings += self.ledger.read;
        self.ledger = Ledger::open(counts);
        Ok(())
    }

    /// Records that have come out of each target.
    fn counts(&self) -> anyhow::Result<Vec<u64>> {
        let counts = self.patiently(|broker| broker.counts(&self.topics()))?;
        Ok(counts.into_iter().map(|count| count as u64).collect())
    }

    /// Records that have come out of the first target.
    pub(super) fn count(&self) -> anyhow::Result<usize> {
        let topics = self.topics();
        let topic = topics.first().context("no target")?;
        self.patiently(|broker| broker.count(topic))
    }

    /// A broker that has just come back may not have all its topics.
    fn patiently<T>(&self, ask: impl Fn(&Broker) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let start = Instant::now();
        loop {
            match ask(&self.host.broker) {
                Err(_) if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(100)),
                counted => return counted,
            }
        }
    }

    /// Waits until that many more records have come out: the service is at work. How long that took.
    pub(super) fn wait_for_progress(&mut self, records: usize) -> anyhow::Result<Duration> {
        let (start, before) = (Instant::now(), self.count()?);
        self.wait_for_count(before + records)?;
        Ok(start.elapsed())
    }

    /// Waits until so many records have come out in all.
    pub(super) fn wait_for_count(&mut self, records: usize) -> anyhow::Result<()> {
        let (mut start, mut most) = (Instant::now(), 0);
        loop {
            let count = self.count()?;
            if count >= records {
                return Ok(());
            }
            if count > most {
                (start, most) = (Instant::now(), count);
            }
            self.watch()?;
            for service in self.service.iter().chain(&self.guest) {
                service.expect_running()?;
            }
            ensure!(start.elapsed() < PATIENCE, "no progress for {PATIENCE:?}: {count} records and no more");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the group has committed more: only who is alive does. How long that took.
    pub(super) fn wait_for_commit(&mut self) -> anyhow::Result<Duration> {
        let sum = |offsets: Vec<Option<i64>>| offsets.into_iter().flatten().sum::<i64>();
        let (start, before) = (Instant::now(), sum(self.committed()?));
        while sum(self.committed()?) == before {
            self.watch()?;
            ensure!(start.elapsed() < PATIENCE, "nothing is committed for {PATIENCE:?}");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(start.elapsed())
    }

    fn group(&self) -> String {
        format!("{}.{CONNECTION}", self.name)
    }

    fn committed(&self) -> anyhow::Result<Vec<Option<i64>>> {
        self.host.broker.committed(&self.feed, &self.group())
    }
}

/// Lets time go by, while something must hold.
fn stay(time: Duration, holds: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let start = Instant::now();
    while start.elapsed() < time {
        holds()?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A folder for an instance: the same connection and feed, its own identity in the group. Through the proxy both log in,
/// the connection as a user of its own whose password may change.
/// What its topic is called beside those of the targets.
const LETTERS: &str = "letters";

fn has_letters(work: &dyn Work) -> bool {
    work.letters(Signal { thing: 0, revision: 1 }).is_some()
}

fn setup(
    broker: &Broker,
    work: &dyn Work,
    program: &str,
    name: &str,
    is_proxied: bool,
    instance: &str,
) -> anyhow::Result<Setup> {
    let setup = Setup::new(program)?;
    let (mut server, mut login) = (&broker.listeners.plaintext, String::new());
    if is_proxied {
        server = &broker.listeners.proxied.advertised;
        login = format!("username = \"{}\"\npassword = \"{}\"\n", broker.username, broker.password);
    }
    let mut connection = definition(CONNECTION, server, &Value::Null);
    work.define(name, &mut connection);
    if is_proxied {
        connection["uri"] = format!("tcp://{name}:{}@{server}", secret("right")).into();
        connection["specificConfig"]["saslMechanism"] = "scram-sha-256".into();
    }
    setup.connection(&connection)?;
    let mut sections = work.furnish(&setup)?;
    if has_letters(work) {
        sections += &format!("[lanes.connection.\"{CONNECTION}\"]\ndead_letters = \"{name}-{LETTERS}\"\n");
    }
    setup.feed(&format!(
        "kind = \"kafka\"\nbootstrap_servers = \"{server}\"\ntopics = [\"{name}-feed\"]\ngroup_id = \"{name}\"\n\
         start_at = \"earliest\"\ninternal_headers = \"trust\"\ninstance_id = \"{instance}\"\n\
         session_timeout = \"{}s\"\n{login}{sections}[log]\nlevel = \"info,ditto_kafka=debug\"",
        SESSION.as_secs()
    ))?;
    Ok(setup)
}
