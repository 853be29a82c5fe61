//! Logs: to stderr, for people or for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// A level or a filter such as `info,ditto_kafka=debug`. The variable `RUST_LOG` wins.
    pub level: String,
    /// For people or for machines.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Human,
    /// A JSON object per line.
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Human }
    }
}

/// Checks a level or filter.
///
/// # Errors
/// Why it is none.
pub(crate) fn filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(text).map_err(|error| error.to_string())
}

/// Starts logging. The variable `RUST_LOG` wins over the configured level, if it holds a filter.
pub(crate) fn init(log: &LogConfig) {
    let of_variable = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let filter = of_variable.and_then(|text| filter(&text).ok()).or_else(|| filter(&log.level).ok());
    let builder =
        tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter.unwrap_or_default());
    // A second start in one process, as in tests, keeps the first one's settings.
    let _started = match log.format {
        LogFormat::Human => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
