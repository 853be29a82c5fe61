//! The state folder and `broker.json` in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::lock::Lock;
use super::{probe, process};

/// How long a broker may take to stop by itself.
const GRACE: Duration = Duration::from_secs(20);

/// What `broker.json` says: everything that a test needs to reach the broker and to run Kafka's own tools.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BrokerState {
    /// The process of the broker.
    pub(crate) pid: u32,
    /// Version of Kafka.
    pub(crate) kafka: String,
    /// Addresses of the listeners.
    pub(crate) listeners: Listeners,
    /// User of PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    pub(crate) username: String,
    /// The user's password.
    pub(crate) password: String,
    /// Certificate of the authority that signed the certificates of `sasl_ssl` and `wrong_name`, as PEM.
    pub(crate) ca: PathBuf,
    /// The Java program.
    pub(crate) java: PathBuf,
    /// Options of Java for the tools: logs of the tools go to stderr.
    pub(crate) java_options: Vec<String>,
    /// Folder of Kafka's jars.
    pub(crate) jars: PathBuf,
    /// Log of the broker.
    pub(crate) log: PathBuf,
}

/// `host:port` of each listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listeners {
    pub(crate) plaintext: String,
    pub(crate) sasl_plaintext: String,
    pub(crate) sasl_ssl: String,
    /// As `sasl_ssl`, but its certificate names another host: clients must refuse it.
    pub(crate) wrong_name: String,
    /// TLS without login, for clients that show a certificate of `tests/tls/authority.pem`.
    pub(crate) mutual: String,
    /// Login without encryption, for clients that reach the broker through a proxy.
    pub(crate) proxied: Proxied,
}

/// A listener that sends its clients to another port: a proxy listens there, if anybody does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Proxied {
    pub(crate) listens: String,
    pub(crate) advertised: String,
}

/// How the broker of a state folder is.
#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub(crate) enum Status {
    Running { broker: BrokerState },
    Unresponsive { broker: BrokerState },
    Crashed { broker: BrokerState },
    Stopped,
}

/// A folder with everything that belongs to one broker.
#[derive(Debug)]
pub(crate) struct StateDir(PathBuf);

impl StateDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.0.join("broker.json")
    }

    pub(crate) fn server_properties(&self) -> PathBuf {
        self.0.join("server.properties")
    }

    pub(crate) fn log4j(&self) -> PathBuf {
        self.0.join("log4j.properties")
    }

    pub(crate) fn log4j2(&self) -> PathBuf {
        self.0.join("log4j2.properties")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("server.log")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub(crate) fn ssl(&self) -> PathBuf {
        self.0.join("ssl")
    }

    /// Held while the broker of this folder is started or stopped.
    pub(crate) fn lock(&self) -> anyhow::Result<Lock> {
        Lock::acquire(&self.lock_file())
    }

    fn lock_file(&self) -> PathBuf {
        self.0.join("broker.lock")
    }

    pub(crate) fn read(&self) -> anyhow::Result<Option<BrokerState>> {
        let file = self.state_file();
        match fs::read(&file) {
            Ok(bytes) => {
                let state = serde_json::from_slice(&bytes);
                state.map(Some).with_context(|| format!("{} is not the state of a broker", file.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Readers see the old state or the new one, never a part.
    pub(crate) fn write(&self, state: &BrokerState) -> anyhow::Result<()> {
        let new = self.0.join("broker.json.tmp");
        let mut text = serde_json::to_string_pretty(state)?;
        text.push('\n');
        fs::write(&new, text).with_context(|| format!("cannot write {}", new.display()))?;
        fs::rename(&new, self.state_file()).context("cannot move broker.json into place")
    }

    pub(crate) fn status(&self) -> anyhow::Result<Status> {
        let Some(broker) = self.read()? else { return Ok(Status::Stopped) };
        if !process::is_alive(broker.pid, &self.server_properties()) {
            return Ok(Status::Crashed { broker });
        }
        let answer = probe::list_topics(broker.listeners.plaintext.parse()?);
        Ok(if answer.is_ok_and(|cluster| cluster.is_ready()) {
            Status::Running { broker }
        } else {
            Status::Unresponsive { broker }
        })
    }

    /// Stops the broker if there is one and says what was found.
    pub(crate) fn stop(&self) -> anyhow::Result<String> {
        self.end(GRACE)
    }

    /// Kills the broker: for state that nobody will read again.
    pub(crate) fn kill(&self) -> anyhow::Result<String> {
        self.end(Duration::ZERO)
    }

    fn end(&self, grace: Duration) -> anyhow::Result<String> {
        let _lock = self.lock()?;
        let Some(broker) = self.read()? else { return Ok("no broker was running".to_owned()) };
        let alive = process::is_alive(broker.pid, &self.server_properties());
        if alive {
            process::stop(broker.pid, &self.server_properties(), grace)?;
        }
        fs::remove_file(self.state_file()).context("cannot remove broker.json")?;
        Ok(if alive {
            format!("stopped, pid {}", broker.pid)
        } else {
            format!("the broker had crashed (pid {}); its log is {}", broker.pid, broker.log.display())
        })
    }

    /// Removes what a broker leaves here, and the folder if nothing else is in it.
    pub(crate) fn wipe(&self) -> anyhow::Result<()> {
        for folder in [self.data(), self.ssl()] {
            if folder.exists() {
                fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
            }
        }
        let files = [
            self.server_properties(),
            self.log4j(),
            self.log4j2(),
            self.log(),
            self.state_file(),
            self.lock_file(),
        ];
        for file in files {
            if file.exists() {
                fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            }
        }
        // Somebody else's files are none of our business.
        let _ = fs::remove_dir(&self.0);
        Ok(())
    }
}
