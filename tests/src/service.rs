//! The service as a process of its own, in a folder of its own.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use crate::process::{self, Held};
use crate::secrets::{self, Secrets};

/// A folder with a configuration, connection definitions and input, and the program to run there. When it is dropped, no file
/// that the program has written may hold a marked secret.
#[derive(Debug)]
pub struct Setup {
    program: PathBuf,
    folder: TempDir,
    /// What was written here, and not by the program.
    given: Mutex<BTreeSet<PathBuf>>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it logged.
    pub stderr: String,
}

/// A process that runs; it is killed when this is dropped. Nothing that it has logged may hold a marked secret then.
#[derive(Debug)]
pub struct Service {
    child: Child,
    /// Pipes that are not its own.
    inherited: BTreeSet<PathBuf>,
    stdout: Option<JoinHandle<String>>,
    /// What it logs.
    stderr: NamedTempFile,
}

/// A run that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

impl Setup {
    /// A setup for this program.
    ///
    /// # Errors
    /// No folder can be made.
    pub fn new(program: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("connections"))?;
        Ok(Self { program: program.into(), folder, given: Mutex::default() })
    }

    /// A path in the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in the folder.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).insert(self.path(name));
        fs::write(self.path(name), content).with_context(|| format!("cannot write {name}"))
    }

    /// Adds a connection definition.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn connection(&self, definition: &Value) -> anyhow::Result<()> {
        let id = definition["id"].as_str().context("a definition without id")?;
        self.write(&format!("connections/{id}.json"), definition.to_string())
    }

    /// Writes the configuration: the folder of connections, and what `feed` says in the table `[feed]`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn feed(&self, feed: &str) -> anyhow::Result<()> {
        self.write("config.toml", format!("connections = \"connections\"\ngrace = \"20s\"\n[feed]\n{feed}\n"))
    }

    /// Writes signals for an NDJSON feed and the configuration for it; acknowledgements go to `acks.ndjson`. Internal
    /// headers are trusted, with `readers` in front of the feed only if the signal has none.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn lines(&self, internal_headers: &str, lines: &[String]) -> anyhow::Result<()> {
        self.write("feed.ndjson", lines.iter().map(|line| format!("{line}\n")).collect::<String>())?;
        self.feed(&format!(
            "kind = \"ndjson\"\npath = \"feed.ndjson\"\nacks = \"acks.ndjson\"\n{internal_headers}"
        ))
    }

    /// Starts the program with these arguments.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, args: &[&str]) -> anyhow::Result<Service> {
        self.start_on(args, Stdio::null())
    }

    fn start_on(&self, args: &[&str], stdin: Stdio) -> anyhow::Result<Service> {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(self.folder.path()).env_remove("RUST_LOG");
        if let Some(level) = std::env::var_os(secrets::LOG_VARIABLE) {
            command.env("RUST_LOG", level);
        }
        let stderr = NamedTempFile::new()?;
        command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr.reopen()?);
        let own = std::process::id();
        let mut inherited = process::pipes(own)?;
        let mut child = command.spawn().context("cannot start the service")?;
        inherited.extend(process::pipes(own)?);
        Ok(Service { stdout: child.stdout.take().map(collect), stderr, inherited, child })
    }

    /// `run --config config.toml`, started.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_run(&self) -> anyhow::Result<Service> {
        self.start(&["run", "--config", "config.toml"])
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// It cannot be started, or does not end within two minutes.
    pub fn execute(&self, args: &[&str]) -> anyhow::Result<Ended> {
        self.start(args)?.ended()
    }

    /// Runs the program to its end, with a file of the folder as stdin.
    ///
    /// # Errors
    /// As [`Self::execute`]; there is no such file.
    pub fn execute_on(&self, file: &str, args: &[&str]) -> anyhow::Result<Ended> {
        self.start_on(args, fs::File::open(self.path(file))?.into())?.ended()
    }

    /// `run --config config.toml`, to its end.
    ///
    /// # Errors
    /// As [`Self::execute`].
    pub fn run(&self) -> anyhow::Result<Ended> {
        self.start_run()?.ended()
    }

    /// The acknowledgements of an NDJSON feed.
    ///
    /// # Errors
    /// There is no file, or it has something else.
    pub fn acknowledgements(&self) -> anyhow::Result<Vec<Value>> {
        let text = fs::read_to_string(self.path("acks.ndjson")).context("no acknowledgements")?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }
}

impl Service {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it holds now.
    ///
    /// # Errors
    /// It has ended.
    pub fn held(&self) -> anyhow::Result<Held> {
        Held::by(self.pid(), &self.inherited)
    }

    /// The same, once it has been the same for so long that a thread that waits for work (tokio's, 10 s) would have ended.
    ///
    /// # Errors
    /// It has ended, or does not come to rest within a minute.
    pub fn held_at_rest(&self) -> anyhow::Result<Held> {
        let (start, mut last, mut since) = (Instant::now(), self.held()?, Instant::now());
        while since.elapsed() < Duration::from_secs(11) {
            ensure!(start.elapsed() < Duration::from_secs(60), "it does not come to rest: {last:?}");
            thread::sleep(Duration::from_millis(50));
            let now = self.held()?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        Ok(last)
    }

    /// What it has logged so far.
    ///
    /// # Errors
    /// It is not text.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(fs::read_to_string(self.stderr.path())?)
    }

    /// Where its management API listens.
    ///
    /// # Errors
    /// It listens nowhere within two minutes.
    pub fn api_address(&self) -> anyhow::Result<String> {
        let start = Instant::now();
        loop {
            let log = self.log()?;
            let line = log.lines().find(|line| line.contains("management API listens"));
            if let Some((_, address)) = line.and_then(|line| line.rsplit_once("address=")) {
                return Ok(address.trim().to_owned());
            }
            self.expect_running()?;
            ensure!(start.elapsed() < LIMIT, "the management API does not listen:\n{log}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until it has partitions to read.
    ///
    /// # Errors
    /// It gets none within two minutes.
    pub fn wait_for_partitions(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        while self.partitions()?.0 == 0 {
            ensure!(start.elapsed() < LIMIT, "no partition is assigned:\n{}", self.log()?);
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// How its connections stand, by its own word.
    ///
    /// # Errors
    /// It does not say within ten seconds.
    pub fn status(&self) -> anyhow::Result<Value> {
        let said = |log: &str| {
            // The last line may still be on its way.
            let whole = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            whole.filter(|line| line.starts_with("{\"time\"")).map(str::to_owned).collect()
        };
        let before: Vec<String> = said(&self.log()?);
        let pid = self.pid().to_string();
        let start = Instant::now();
        // One that does not listen yet would be ended.
        while !process::listens_to_usr1(self.pid())? {
            ensure!(start.elapsed() < LIMIT, "it does not listen:\n{}", self.log()?);
            thread::sleep(Duration::from_millis(10));
        }
        ensure!(Command::new("kill").args(["-USR1", &pid]).status()?.success(), "kill failed");
        let start = Instant::now();
        loop {
            let lines: Vec<String> = said(&self.log()?);
            if let Some(line) = lines.get(before.len()) {
                return Ok(serde_json::from_str(line)?);
            }
            ensure!(start.elapsed() < Duration::from_secs(10), "it says nothing:\n{}", self.log()?);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until its first connection stands so, and says how long that took, and what it says of the connection.
    ///
    /// # Errors
    /// It does not within this time.
    pub fn wait_for_status(&self, word: &str, limit: Duration) -> anyhow::Result<(Duration, Value)> {
        let start = Instant::now();
        loop {
            let status = self.status()?;
            let connection = &status["connections"][0];
            if connection["status"] == word {
                return Ok((start.elapsed(), connection.clone()));
            }
            ensure!(start.elapsed() < limit, "not {word} within {limit:?}: {status}\n{}", self.log()?);
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Asks it to stop, and waits for its end.
    ///
    /// # Errors
    /// It does not end within two minutes.
    pub fn stop(self) -> anyhow::Result<Ended> {
        process::signal(self.pid(), "TERM")?;
        self.ended()
    }

    /// Kills it at once, and proves it.
    ///
    /// # Errors
    /// It had ended by itself.
    pub fn kill(self) -> anyhow::Result<Ended> {
        process::signal(self.pid(), "KILL")?;
        let ended = self.ended()?;
        ensure!(
            ended.code.is_none(),
            "it ended with code {:?} before it was killed:\n{}",
            ended.code,
            ended.stderr
        );
        Ok(ended)
    }

    /// Fails if it has ended.
    ///
    /// # Errors
    /// It has; the log is a part of the error.
    pub fn expect_running(&self) -> anyhow::Result<()> {
        ensure!(!process::has_ended(self.pid()), "the service has ended:\n{}", self.log()?);
        Ok(())
    }

    /// How many partitions it was assigned, and how many were revoked, so far.
    ///
    /// # Errors
    /// As [`Self::log`].
    pub fn partitions(&self) -> anyhow::Result<(usize, usize)> {
        let log = self.log()?;
        let sum = |text: &str| -> usize {
            let lines = log.lines().filter(|line| line.contains(text));
            lines.filter_map(|line| line.rsplit_once("partitions=")?.1.parse::<usize>().ok()).sum()
        };
        // Those that are lost are gone as well.
        let gone = sum("kafka partitions revoked") + sum("kafka partitions lost");
        Ok((sum("kafka partitions assigned"), gone))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not come within two minutes.
    pub fn ended(mut self) -> anyhow::Result<Ended> {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if start.elapsed() > LIMIT {
                self.child.kill()?;
                bail!("the service did not end within {LIMIT:?}:\n{}", self.log()?);
            }
            thread::sleep(Duration::from_millis(20));
        };
        let stdout = text(self.stdout.take());
        secrets::ensure_none_in("what the program has printed", stdout.as_bytes())?;
        Ok(Ended { code: status.code(), stdout, stderr: self.log()? })
    }

    /// The largest resident memory so far, in bytes.
    ///
    /// # Errors
    /// The process has ended.
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        self.memory_of("VmHWM:")
    }

    /// The resident memory now, in bytes.
    ///
    /// # Errors
    /// The process has ended.
    pub fn memory(&self) -> anyhow::Result<u64> {
        self.memory_of("VmRSS:")
    }

    fn memory_of(&self, key: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with(key)).context("no such line")?;
        let kib: u64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib << 10)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        let log = fs::read(self.stderr.path()).map_err(Into::into);
        told(log.and_then(|log| secrets::ensure_none_in("what the program has logged", &log)));
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        told(Secrets::marked().ensure_none_below(self.folder.path(), &|path| given.contains(path)));
    }
}

/// Fails the test, unless it has failed.
fn told(found: anyhow::Result<()>) {
    if let Err(why) = found {
        assert!(thread::panicking(), "{why:#}");
    }
}

impl Ended {
    /// Fails unless the exit code is this one.
    ///
    /// # Errors
    /// It is another; the log is a part of the error.
    pub fn expect_code(&self, code: u8) -> anyhow::Result<()> {
        ensure!(
            self.code == Some(i32::from(code)),
            "exit code {:?} instead of {code}:\n{}{}",
            self.code,
            self.stdout,
            self.stderr
        );
        Ok(())
    }
}

fn collect(mut output: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _end = output.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn text(output: Option<JoinHandle<String>>) -> String {
    output.and_then(|output| output.join().ok()).unwrap_or_default()
}

/// A connection definition without login, as the HTTP API takes it.
#[must_use]
pub fn definition(id: &str, server: &str, targets: &Value) -> Value {
    json!({
        "id": id, "connectionType": "kafka", "connectionStatus": "open", "uri": format!("tcp://{server}"),
        "specificConfig": {"bootstrapServers": server}, "targets": targets,
    })
}

/// An event of a thing with a number in its value, readable by `integ:reader`.
#[must_use]
pub fn event(thing: &str, n: usize, headers: &Value) -> String {
    let mut all = json!({"correlation-id": format!("n-{n}"), "ditto-read-subjects": ["integ:reader"]});
    if let (Some(all), Some(headers)) = (all.as_object_mut(), headers.as_object()) {
        all.extend(headers.clone());
    }
    let message = json!({
        "topic": format!("org.acme/{thing}/things/twin/events/modified"), "headers": all,
        "path": "/attributes/n", "value": n, "revision": n + 1,
    });
    message.to_string()
}

/// The project's own copy of a file of vectors.
#[must_use]
pub fn vectors(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name)
}
