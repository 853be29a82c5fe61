//! From a folder, empty or not, to a broker that lists topics.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

use super::certificates::Certificates;
use super::config;
use super::jars::Jars;
use super::ports::Ports;
use super::state::{BrokerState, StateDir, Status};
use super::{java, log_tail, probe};
use crate::console::progress;

/// How long a start may take on a slow and busy machine; a usual one takes seconds.
const LIMIT: Duration = Duration::from_secs(90);
/// A port that was free may be taken before the broker binds it: then other ports are tried.
const ATTEMPTS: u32 = 3;

/// Starts the broker of this folder unless it runs, and waits until it is ready.
pub(crate) fn up(dir: &StateDir, base: Option<u16>) -> anyhow::Result<BrokerState> {
    let _lock = dir.lock()?;
    match dir.status()? {
        Status::Running { broker } => {
            progress("the broker is running already");
            return Ok(broker);
        }
        Status::Unresponsive { broker } => {
            bail!("a broker, pid {}, is there but does not answer: `broker down` ends it", broker.pid)
        }
        Status::Crashed { broker } => {
            progress(format_args!("the broker had crashed (pid {}), starting it again", broker.pid));
        }
        Status::Stopped => {}
    }
    let chosen = base.map(Ports::from_base).transpose()?;
    let start = Instant::now();
    let jars = Jars::find()?;
    let certificates = prepare(dir, &jars)?;
    let mut attempt = 1;
    loop {
        let ports = chosen.map_or_else(Ports::free, Ok)?;
        match launch(dir, &jars, &certificates, &ports) {
            Ok(state) => {
                progress(format_args!(
                    "Kafka {} is ready after {:.1} s",
                    state.kafka,
                    start.elapsed().as_secs_f64()
                ));
                return Ok(state);
            }
            Err(_) if chosen.is_none() && attempt < ATTEMPTS && lost_a_port(dir) => attempt += 1,
            Err(error) => {
                return Err(error.context(format!(
                    "the broker did not start; the end of {}:\n{}",
                    dir.log().display(),
                    log_tail(&dir.log())
                )));
            }
        }
    }
}

fn lost_a_port(dir: &StateDir) -> bool {
    fs::read(dir.log()).is_ok_and(|log| String::from_utf8_lossy(&log).contains("Address already in use"))
}

/// Certificates and a formatted data folder, side by side: both mean waiting for Java.
fn prepare(dir: &StateDir, jars: &Jars) -> anyhow::Result<Certificates> {
    thread::scope(|scope| {
        let certificates = scope.spawn(|| Certificates::in_folder(&dir.ssl()));
        format(dir, jars)?;
        certificates.join().map_err(|_| anyhow!("keytool could not be watched"))?
    })
}

/// Gives the data folder its cluster id and the user's SCRAM credentials.
fn format(dir: &StateDir, jars: &Jars) -> anyhow::Result<()> {
    if dir.data().join("meta.properties").exists() {
        return Ok(());
    }
    // Formatting needs the roles and the folder; the final file, with ports, is written at each launch.
    let [ca, broker, wrong_name, clients] = std::array::from_fn(|_| dir.ssl());
    let certificates = Certificates { ca, broker, wrong_name, clients };
    config::write(dir, &Ports::free()?, &certificates)?;
    let mut command = tool(dir, jars, "kafka.tools.StorageTool");
    command.args(["format", "--ignore-formatted", "--cluster-id", &cluster_id(), "--config"]);
    command.arg(dir.server_properties());
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        for (name, password) in config::USERS {
            command.args(["--add-scram", &format!("{mechanism}=[name={name},password={password}]")]);
        }
    }
    java::run(&mut command).context("cannot format the data folder")
}

/// Any text of 22 base64 letters is a cluster id; a name of our own says what it is when it shows up in a log.
fn cluster_id() -> String {
    format!("dittoConnectivity{:05}", std::process::id() % 100_000)
}

fn tool(dir: &StateDir, jars: &Jars, class: &str) -> Command {
    let mut command = Command::new(java::program("java"));
    command.arg("-XX:TieredStopAtLevel=1").args(config::java_options(dir));
    command.args(["-cp", &jars.class_path(), class]);
    command
}

fn launch(
    dir: &StateDir,
    jars: &Jars,
    certificates: &Certificates,
    ports: &Ports,
) -> anyhow::Result<BrokerState> {
    config::write(dir, ports, certificates)?;
    let log = File::create(dir.log()).with_context(|| format!("cannot write {}", dir.log().display()))?;
    let mut command = Command::new(java::program("java"));
    command.args(["-Xmx512m", "-XX:MaxGCPauseMillis=20"]).args(config::java_options(dir));
    command.args(["-cp", &jars.class_path(), "kafka.Kafka"]).arg(dir.server_properties());
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // A group of its own: Ctrl-C in the terminal is not for the broker.
    let mut child = java::started(command.process_group(0))?;
    let [(username, password), _] = config::USERS;
    let state = BrokerState {
        pid: child.id(),
        kafka: jars.version.clone(),
        listeners: ports.listeners(),
        username: username.to_owned(),
        password: password.to_owned(),
        ca: certificates.ca.clone(),
        java: java::program("java"),
        java_options: config::java_options(dir),
        jars: jars.folder.clone(),
        log: dir.log(),
    };
    // Before it is ready: whoever is interrupted here leaves a broker that `down` finds.
    let ready = dir.write(&state).and_then(|()| wait_until_ready(&mut child, &state));
    if let Err(error) = ready {
        let _ = child.kill();
        let _ = child.wait();
        let _ = fs::remove_file(dir.state_file());
        return Err(error);
    }
    Ok(state)
}

fn wait_until_ready(child: &mut Child, state: &BrokerState) -> anyhow::Result<()> {
    let address = state.listeners.plaintext.parse()?;
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(status) = child.try_wait()? {
            bail!("the broker ended with {status}");
        }
        if probe::list_topics(address).is_ok_and(|cluster| cluster.is_ready()) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(25));
    }
    bail!("the broker listed no topics within {} s", LIMIT.as_secs())
}
