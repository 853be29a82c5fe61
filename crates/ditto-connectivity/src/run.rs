//! The command `run`.

use std::io;

use secrecy::{ExposeSecret, SecretString};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::App;
use crate::cli::{RunArgs, StampArgs};
use crate::config::{ApiConfig, Config, FeedConfig, StoreConfig};
use crate::definitions::Definitions;
use crate::error::{AppError, chain, code_of};
use crate::http::{self, Management};
use crate::plane::letters;
use crate::process::{fail, print, runtime, stop_on_signals};
use crate::registry::Registry;
use crate::report::Report;
use crate::status::Status;
use crate::store::Unreadable;
use crate::{exit, telemetry};

/// Runs the service, or only checks what it would run. The exit code.
pub(crate) fn run(args: RunArgs) -> u8 {
    let mut config = match Config::load(&args.config) {
        Ok(config) => config,
        Err(errors) => return fail(&errors, exit::CONFIG),
    };
    if let Some(path) = args.acks {
        match &mut config.feed {
            FeedConfig::Ndjson { acknowledgements, .. } => *acknowledgements = Some(path),
            FeedConfig::Kafka(_) => {
                return fail(
                    &"--acks is for NDJSON feeds; set feed.acks_topic for a kafka feed",
                    exit::USAGE,
                );
            }
        }
    }
    if args.check {
        return check(&config);
    }
    start(config, App::build)
}

/// Stamps the signals of the feed. The exit code.
pub(crate) fn stamp(args: &StampArgs) -> u8 {
    match Config::load(&args.config) {
        Ok(config) => start(config, App::stamping),
        Err(errors) => fail(&errors, exit::CONFIG),
    }
}

fn start(config: Config, build: impl FnOnce(Config) -> Result<App, AppError>) -> u8 {
    // Before the first thread.
    telemetry::init(&config.log);
    let http = config.http.clone();
    let app = match build(config) {
        Ok(app) => app,
        Err(error) => return fail(&chain(&error), code_of(&error)),
    };
    match runtime() {
        Ok(runtime) => runtime.block_on(serve(app, http.as_ref())),
        Err(error) => fail(&format!("no runtime: {error}"), exit::UNAVAILABLE),
    }
}

/// A runtime for everything but lanes, which have threads of their own, as librdkafka has.
async fn serve(app: App, http: Option<&ApiConfig>) -> u8 {
    let stop = CancellationToken::new();
    // What cannot be offered is told before anything runs.
    let management = match http {
        Some(http) => match Management::bind(http).await {
            Ok(management) => Some(management),
            Err(error) => return fail(&chain(&error), exit::UNAVAILABLE),
        },
        None => None,
    };
    let running = match app.start(&stop).await {
        Ok(running) => running,
        Err(error) => return fail(&chain(&error), code_of(&error)),
    };
    info!("ready");
    // Watches for the whole life of the process: a second signal ends it at once.
    tokio::spawn(stop_on_signals(stop.clone()));
    tokio::spawn(tell_status_on_signals(running.status(), running.report()));
    tokio::spawn(reload_on_signals(running.registry()));
    let managed = management.zip(running.registry()).map(|(management, registry)| {
        tokio::spawn(manage(management, registry, running.report(), stop.clone()))
    });
    let ended = running.finished().await;
    if let Some(managed) = managed {
        managed.abort();
    }
    match ended {
        Ok(report) => {
            for line in report.to_string().lines() {
                info!("{line}");
            }
            // Whoever stops the service knows that it was stopped; whoever waits for the end of a file does not.
            let totals = report.totals();
            let has_failed = totals.failed + totals.unknown > 0;
            if has_failed && !stop.is_cancelled() { exit::FAILED } else { exit::OK }
        }
        Err(error) => fail(&chain(&error), code_of(&error)),
    }
}

/// Answers requests until `stop`.
#[expect(clippy::print_stderr, reason = "a password that is told once must not be in a log")]
async fn manage(mut management: Management, registry: Registry, report: Report, stop: CancellationToken) {
    if let Some(password) = management.take_password() {
        eprintln!(
            "no devops_password_hash is configured: the password of devops is {} until this process ends",
            password.expose_secret()
        );
    }
    management.serve(registry, Some(report), stop).await;
}

/// Writes a line of JSON to stderr, whatever the format of the log, each time SIGUSR1 comes.
#[expect(clippy::print_stderr, reason = "an answer, not a log line")]
async fn tell_status_on_signals(status: Status, report: Report) {
    #[cfg(unix)]
    {
        let asked = tokio::signal::unix::SignalKind::user_defined1();
        match tokio::signal::unix::signal(asked) {
            Ok(mut asked) => {
                while asked.recv().await.is_some() {
                    eprintln!("{}", status.line(&report));
                }
            }
            Err(why) => warn!(%why, "SIGUSR1 is not watched"),
        }
    }
}

/// Reads the folder of connections again each time SIGHUP comes.
async fn reload_on_signals(registry: Option<Registry>) {
    #[cfg(unix)]
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        Ok(mut asked) => {
            while asked.recv().await.is_some() {
                match &registry {
                    Some(registry) => registry.reload().await,
                    None => info!("there are no connections that could be read again"),
                }
            }
        }
        Err(why) => warn!(%why, "SIGHUP is not watched"),
    }
}

#[expect(clippy::print_stdout, reason = "this command's answer")]
fn check(config: &Config) -> u8 {
    let folder = match &config.store {
        StoreConfig::Directory { folder, .. } => folder,
        other => return check_store(other),
    };
    let definitions = match Definitions::load(folder) {
        Ok(definitions) => definitions,
        Err(error) => return fail(&format!("folder `{}`: {error}", folder.display()), exit::CONFIG),
    };
    for definition in &definitions.connections {
        println!("{}: connection `{}` is valid", definition.file.display(), definition.connection.id());
        for warning in definition.connection.warnings() {
            println!("{}:{warning}", definition.file.display());
        }
    }
    let mut is_wrong = false;
    for connection in definitions.open() {
        if let Err(why) = letters::topic(connection, config) {
            is_wrong = true;
            println!("connection `{}`: {why}", connection.id());
        }
    }
    for broken in &definitions.broken {
        for finding in &broken.findings {
            println!("{}:{finding}", broken.file.display());
            for line in finding.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
                println!("    {line}");
            }
        }
    }
    if definitions.open().next().is_none() {
        println!("no connection is open: there is nothing to run");
        return exit::CONFIG;
    }
    if definitions.broken.is_empty() && !is_wrong { exit::OK } else { exit::CONFIG }
}

/// What is kept was checked before; what cannot be read any more is told.
#[expect(clippy::print_stdout, reason = "this command's answer")]
fn check_store(store: &StoreConfig) -> u8 {
    let loaded = match store.open().and_then(|store| store.load()) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&chain(&error), exit::UNAVAILABLE),
    };
    for record in &loaded.records {
        println!("connection `{}` is valid", record.connection.id());
        for finding in record.connection.findings() {
            println!("{}: {finding}", record.connection.id());
        }
    }
    for Unreadable { name, reason, .. } in &loaded.unreadable {
        println!("{name}: {reason}");
    }
    if loaded.unreadable.is_empty() { exit::OK } else { exit::CONFIG }
}

/// Reads a password from the first line of stdin, and prints what the configuration takes in its place. The exit code.
pub(crate) fn hash_password() -> u8 {
    let mut line = String::new();
    if let Err(error) = io::stdin().read_line(&mut line) {
        return fail(&format!("no password read: {error}"), exit::UNAVAILABLE);
    }
    let password = SecretString::from(line.trim_end_matches(['\r', '\n']));
    if password.expose_secret().is_empty() {
        return fail(&"write the password as a line to stdin", exit::USAGE);
    }
    match http::hash_password(&password) {
        Ok(hash) => print(format!("{}\n", hash.expose_secret()).as_bytes()),
        Err(error) => fail(&error, exit::INTERNAL),
    }
}
