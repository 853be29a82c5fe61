//! Logs: to stderr, for people or for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Starts logging. The variable `RUST_LOG` wins over the configured level.
///
/// # Errors
/// The level is no filter.
pub(crate) fn init(log: &LogConfig) -> Result<(), String> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => filter,
        _ => log.level.clone(),
    };
    let filter = EnvFilter::try_new(&filter).map_err(|error| format!("log level `{filter}`: {error}"))?;
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    // A second start in one process, as in tests, keeps the first one's settings.
    let _started = match log.format {
        LogFormat::Human => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}
