//! The command `quickstart`: the service at work, with everything it needs in this process.

mod fleet;
mod screen;
mod verify;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ditto_connection::{Connection, ValidationReport};
use ditto_kafka::{
    Bounds, ClientError, EmbeddedCluster, ProducerPool, ProducerSettings, Publisher, Record, StartAt,
    StoredRecord, Tail, Token,
};
use ditto_outbound::{FeedPolicy, InternalHeaders};
use tokio_util::sync::CancellationToken;

use self::fleet::{Due, Fleet, SampleSignal};
use self::screen::Screen;
use crate::app::{App, Running};
use crate::cli::QuickstartArgs;
use crate::config::{Config, FeedConfig, KafkaFeedConfig, LanesConfig, ProducerConfig, StoreConfig};
use crate::error::{AppError, chain, code_of};
use crate::process::{runtime, stop_on_signals};
use crate::telemetry::LogConfig;
use crate::{exit, telemetry};

/// The reference's own example, as its users' guide has it, and two more.
const DEFINITIONS: [&str; 3] = [
    include_str!("../quickstart/example.json"),
    include_str!("../quickstart/devices.json"),
    include_str!("../quickstart/alarms.json"),
];
const FEED: &str = "ditto-feed";
const TOPICS: [&str; 4] = ["topic", "devices", "telemetry", "alarms"];

/// Why the quickstart cannot go on.
#[derive(Debug, thiserror::Error)]
enum QuickstartError {
    #[error("an example is refused: {0}")]
    Definition(#[from] ValidationReport),
    #[error(transparent)]
    App(#[from] AppError),
    #[error("embedded kafka: {0}")]
    Kafka(#[from] ClientError),
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
    #[error("{0} signals were not done within {1:?}")]
    TooSlow(u64, Duration),
    #[error("interrupted before all signals were done")]
    Interrupted,
}

/// Shows the service at work. The exit code.
pub(crate) fn quickstart(args: QuickstartArgs) -> u8 {
    let log = LogConfig { level: "error,ditto_connectivity=warn".to_owned(), ..LogConfig::default() };
    telemetry::init(&log);
    match show(&args) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "why the process ends")]
fn fail(error: &QuickstartError) -> u8 {
    eprintln!("quickstart ended: {}", chain(error));
    match error {
        QuickstartError::App(error) => code_of(error),
        QuickstartError::Interrupted => exit::FAILED,
        QuickstartError::Definition(_) => exit::INTERNAL,
        QuickstartError::Kafka(_) | QuickstartError::Runtime(_) | QuickstartError::TooSlow(..) => {
            exit::UNAVAILABLE
        }
    }
}

fn show(args: &QuickstartArgs) -> Result<u8, QuickstartError> {
    let mut screen = Screen::new(args.once.then_some(3));
    let cluster = EmbeddedCluster::new(1)?;
    for (topic, partitions) in [(FEED, 3), ("topic", 3), ("devices", 3), ("telemetry", 3), ("alarms", 2)] {
        cluster.create_topic(topic, partitions)?;
    }
    let connections =
        DEFINITIONS.iter().map(|text| Connection::from_json(text)).collect::<Result<Vec<_>, _>>()?;
    introduce(&mut screen, &cluster, &connections, args);
    let runtime = runtime()?;
    let stop = CancellationToken::new();
    runtime.spawn(stop_on_signals(stop.clone()));
    let app = App::build(config(&cluster, connections))?.with_cluster(cluster.settings());
    let running = runtime.block_on(app.start(&stop))?;
    let show = Show {
        records: follow(cluster.tail(&TOPICS)?, stop.clone())?,
        writer: FeedWriter::new(&cluster)?,
        fleet: Fleet::new(args.things),
        screen,
        running,
        stop,
        landed: Vec::new(),
    };
    if args.once { show.once(u64::from(args.signals), &runtime) } else { show.until_stopped(&runtime) }
}

fn introduce(
    screen: &mut Screen,
    cluster: &EmbeddedCluster,
    connections: &[Connection],
    args: &QuickstartArgs,
) {
    let brokers = cluster.bootstrap_servers();
    screen.line(&format!("Kafka inside this process at {brokers}; signals of {} sample things come through its topic `{FEED}`.", args.things));
    screen.line(&format!(
        "Note: all connections publish to {brokers} without login, in place of their own uris: the embedded Kafka knows no SASL."
    ));
    for connection in connections {
        for target in connection.targets() {
            let topics: Vec<_> = target.topics().iter().map(ToString::to_string).collect();
            screen.line(&format!(
                "  {} ({}): {} → {}",
                connection.id(),
                target.authorization_context().join(", "),
                topics.join(", "),
                target.address()
            ));
        }
    }
    let end = if args.once {
        format!("{} signals, then the records are checked.", args.signals)
    } else {
        "End with Ctrl-C.".to_owned()
    };
    screen.line(&format!("{end} The first records take about 3 s: the consumer groups form.\n"));
}

fn config(cluster: &EmbeddedCluster, connections: Vec<Connection>) -> Config {
    Config {
        store: StoreConfig::Memory(connections),
        directory: None,
        stamp: None,
        dead_letters: None,
        lanes: LanesConfig::default(),
        feed: FeedConfig::Kafka(Box::new(KafkaFeedConfig {
            start_at: StartAt::Earliest,
            ..KafkaFeedConfig::new(cluster.settings(), vec![FEED.to_owned()], "quickstart")
        })),
        policy: FeedPolicy { internal_headers: InternalHeaders::Trust, ..FeedPolicy::default() },
        producer: ProducerConfig::default(),
        http: None,
        log: LogConfig::default(),
        grace: Duration::from_secs(10),
    }
}

/// Reads the topics in a thread of its own, until everything is stopped.
fn follow(mut tail: Tail, stop: CancellationToken) -> Result<mpsc::Receiver<StoredRecord>, std::io::Error> {
    let (sender, records) = mpsc::channel();
    thread::Builder::new().name("quickstart-tail".to_owned()).spawn(move || {
        loop {
            match tail.next(Duration::from_millis(100)) {
                Ok(Some(record)) => {
                    if sender.send(record).is_err() {
                        return;
                    }
                }
                Ok(None) if stop.is_cancelled() => return,
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "reading back"),
            }
        }
    })?;
    Ok(records)
}

/// Writes signals to the feed.
struct FeedWriter {
    // Keeps the client for as long as the writer.
    _pool: ProducerPool,
    publisher: Publisher,
}

impl FeedWriter {
    fn new(cluster: &EmbeddedCluster) -> Result<Self, ClientError> {
        let pool = ProducerPool::new();
        let settings = ProducerSettings::new(cluster.settings(), "quickstart-feed");
        let bounds = Bounds { records: 100_000, bytes: 64 << 20 };
        Ok(Self { publisher: pool.publisher(&settings, bounds)?, _pool: pool })
    }

    fn write(&mut self, signal: &SampleSignal) {
        let headers: Vec<_> = signal.headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let record =
            Record::to(FEED).key(signal.thing.as_bytes()).payload(signal.text.as_bytes()).headers(headers);
        if let Err(error) = self.publisher.enqueue(record, Token(0)) {
            tracing::error!(%error, "sample signal not written");
        }
    }
}

struct Show {
    records: mpsc::Receiver<StoredRecord>,
    writer: FeedWriter,
    fleet: Fleet,
    screen: Screen,
    running: Running,
    stop: CancellationToken,
    landed: Vec<StoredRecord>,
}

/// How long the signals of `--once` may take.
const PATIENCE: Duration = Duration::from_secs(60);

impl Show {
    /// Shows what lands within a time.
    fn watch(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Ok(record) = self.records.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.screen.record(&record);
            self.landed.push(record);
        }
        self.screen.status(&self.running.report(), false);
    }

    fn once(mut self, signals: u64, runtime: &tokio::runtime::Runtime) -> Result<u8, QuickstartError> {
        let started = Instant::now();
        let sample: Vec<SampleSignal> = (0..signals).map(|_| self.fleet.next_signal()).collect();
        sample.iter().for_each(|signal| self.writer.write(signal));
        let due: Vec<Due> = sample.into_iter().flat_map(|signal| signal.due).collect();
        let lanes = DEFINITIONS.len() as u64;
        loop {
            self.watch(Duration::from_millis(50));
            let totals = self.running.report().totals();
            if totals.received == signals * lanes && totals.in_flight == 0 {
                break;
            }
            if self.stop.is_cancelled() {
                return Err(QuickstartError::Interrupted);
            }
            if started.elapsed() > PATIENCE {
                return Err(QuickstartError::TooSlow(signals, started.elapsed()));
            }
        }
        // What was acknowledged is there; the tail may be a moment behind. A record too many would come as well.
        let settled = Instant::now();
        while self.landed.len() < due.len() && settled.elapsed() < Duration::from_secs(5) {
            self.watch(Duration::from_millis(100));
        }
        self.watch(Duration::from_millis(300));
        let (landed, elapsed) = (self.landed.len(), started.elapsed());
        let differences = verify::differences(&due, &self.landed);
        let mut screen = self.finish(runtime)?;
        if differences.is_empty() {
            screen
                .line(&format!("ok: {landed} records of {signals} signals, each as due, in {elapsed:.1?}."));
            return Ok(exit::OK);
        }
        for difference in differences.iter().take(20) {
            screen.line(&format!("differs: {difference}"));
        }
        screen.line(&format!(
            "failed: {} differences; {landed} records landed, {} were due.",
            differences.len(),
            due.len()
        ));
        Ok(exit::FAILED)
    }

    fn until_stopped(mut self, runtime: &tokio::runtime::Runtime) -> Result<u8, QuickstartError> {
        while !self.stop.is_cancelled() {
            let signal = self.fleet.next_signal();
            self.writer.write(&signal);
            self.watch(Duration::from_millis(300));
            // The records are on the screen; nothing looks at them again.
            self.landed.clear();
        }
        self.finish(runtime)?;
        Ok(exit::OK)
    }

    /// Stops the service and shows what became of every signal.
    fn finish(self, runtime: &tokio::runtime::Runtime) -> Result<Screen, QuickstartError> {
        self.stop.cancel();
        let report = runtime.block_on(self.running.finished())?;
        let mut screen = self.screen;
        screen.status(&report, true);
        screen.line(&format!("\n{report}"));
        Ok(screen)
    }
}
