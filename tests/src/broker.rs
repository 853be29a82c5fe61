//! The real Kafka broker that `cargo xtask test` starts, and the tools that come with it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::secrets;

/// The variable that names `broker.json`.
pub const BROKER_VARIABLE: &str = "DITTO_TEST_BROKER";

/// What `broker.json` says.
#[derive(Debug, Clone, Deserialize)]
pub struct Broker {
    /// The process of the broker.
    pub pid: u32,
    /// Version of Kafka.
    pub kafka: String,
    /// Addresses of its listeners.
    pub listeners: Listeners,
    /// User of PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 on every listener but `plaintext`. There is another one, `user` with the
    /// password `password`, whom vectors and the reference's example name.
    pub username: String,
    /// The user's password; it is marked.
    pub password: String,
    /// Certificate of the authority that signed those of `sasl_ssl` and `wrong_name`, a PEM file.
    pub ca: PathBuf,
    /// The Java program.
    pub java: PathBuf,
    /// Options of Java for the tools: their logs go to stderr.
    pub java_options: Vec<String>,
    /// Folder of Kafka's jars.
    pub jars: PathBuf,
    /// Log of the broker.
    pub log: PathBuf,
}

/// `host:port` of each listener; topics are not made by writing to them.
#[derive(Debug, Clone, Deserialize)]
pub struct Listeners {
    /// No login, no encryption.
    pub plaintext: String,
    /// Login without encryption.
    pub sasl_plaintext: String,
    /// Login and TLS, with a certificate for `localhost` and `127.0.0.1`.
    pub sasl_ssl: String,
    /// Login and TLS, with a certificate for another host: clients must refuse it.
    pub wrong_name: String,
    /// TLS without login, for clients that show the certificate in `tests/tls`.
    pub mutual: String,
    /// Login without encryption, for clients that reach the broker through a [`Proxy`](crate::proxy::Proxy).
    pub proxied: Proxied,
}

/// A listener that sends its clients to another port, where a proxy has to listen.
#[derive(Debug, Clone, Deserialize)]
pub struct Proxied {
    /// `host:port` where the broker listens.
    pub listens: String,
    /// `host:port` that clients are told.
    pub advertised: String,
}

impl Broker {
    /// The broker of this run.
    ///
    /// # Errors
    /// If there is none: a test that needs a broker fails without one.
    pub fn of_this_run() -> anyhow::Result<Self> {
        Self::read(&Self::state_file()?)
    }

    /// The `broker.json` of this run.
    ///
    /// # Errors
    /// If there is none.
    pub fn state_file() -> anyhow::Result<PathBuf> {
        let file = std::env::var_os(BROKER_VARIABLE).with_context(|| {
            format!("{BROKER_VARIABLE} is not set: run the tests with `cargo xtask test`")
        })?;
        Ok(file.into())
    }

    /// Reads a `broker.json`.
    ///
    /// # Errors
    /// If it is not there or is no state of a broker.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let broker: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is not the state of a broker", file.display()))?;
        secrets::ensure_marked(&broker.password)?;
        Ok(broker)
    }

    /// Gives a user a password for SCRAM-SHA-256, and makes the user if there is none.
    ///
    /// # Errors
    /// The tool fails.
    pub fn set_password(&self, user: &str, password: &str) -> anyhow::Result<()> {
        secrets::ensure_marked(password)?;
        self.alter_user(user, &format!("SCRAM-SHA-256=[iterations=4096,password={password}]"))
    }

    /// Changes a setting of a user, such as a quota.
    ///
    /// # Errors
    /// The tool fails.
    pub fn alter_user(&self, user: &str, setting: &str) -> anyhow::Result<()> {
        let mut command = self.tool("kafka.admin.ConfigCommand");
        command.args(["--bootstrap-server", &self.listeners.plaintext, "--alter"]);
        command.args(["--entity-type", "users", "--entity-name", user, "--add-config", setting]);
        let output = command.stdin(Stdio::null()).output().context("cannot run Kafka's tool")?;
        ensure!(
            output.status.success(),
            "user not changed:\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }

    /// A tool of Kafka by the name of its class, for example `org.apache.kafka.tools.consumer.ConsoleConsumer`.
    #[must_use]
    pub fn tool(&self, class: &str) -> Command {
        let mut command = Command::new(&self.java);
        command.args(&self.java_options).arg("-cp").arg(self.jars.join("*")).arg(class);
        command
    }
}
