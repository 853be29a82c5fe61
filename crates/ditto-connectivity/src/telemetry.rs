//! Logs: to stderr, for people or for machines.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

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
    let (filter, handle) = reload::Layer::new(filter.unwrap_or_default());
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines: Box<dyn Layer<_> + Send + Sync> = match log.format {
        LogFormat::Human => Box::new(lines.with_ansi(std::io::stderr().is_terminal())),
        LogFormat::Json => Box::new(lines.json().flatten_event(true)),
    };
    // A second start in one process, as in tests, keeps the first one's settings.
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        let _first = FILTER.set(handle);
    }
}

/// What is logged now.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();
/// The logger that stands for all which are not named.
pub(crate) const ROOT: &str = "ROOT";

/// The levels of loggers, by their names; `ROOT` is first.
pub(crate) fn levels() -> Vec<(String, String)> {
    let text = FILTER.get().and_then(|filter| filter.with_current(ToString::to_string).ok());
    directives(&text.unwrap_or_default())
}

/// Changes the level of a logger.
///
/// # Errors
/// There is no such level, or no logger can have that name.
pub(crate) fn set_level(logger: &str, level: &str) -> Result<(), String> {
    let level = match level.to_ascii_lowercase().as_str() {
        "all" => "trace".to_owned(),
        level if ["off", "error", "warn", "info", "debug", "trace"].contains(&level) => level.to_owned(),
        _ => return Err(format!("`{level}` is no level; these are off, error, warn, info, debug and trace")),
    };
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-:.".contains(&byte))
    };
    if !is_name(logger) {
        return Err(format!("`{}` is no name of a logger", logger.escape_default()));
    }
    let mut levels = levels();
    levels.retain(|(known, _)| known != logger);
    if levels.len() >= MAX_LOGGERS {
        return Err(format!("{MAX_LOGGERS} loggers have levels of their own already"));
    }
    levels.push((logger.to_owned(), level));
    let directive = |(logger, level): &(String, String)| {
        if logger == ROOT { level.clone() } else { format!("{logger}={level}") }
    };
    let text = levels.iter().map(directive).collect::<Vec<_>>().join(",");
    let filter = filter(&text)?;
    let current = FILTER.get().ok_or("this process does not log")?;
    current.reload(filter).map_err(|error| error.to_string())
}

/// Loggers that can have a level of their own.
const MAX_LOGGERS: usize = 100;

/// The loggers of a filter. What it says of spans has no name here, and stays until a level is changed.
fn directives(text: &str) -> Vec<(String, String)> {
    let mut levels: Vec<(String, String)> = Vec::new();
    for directive in text.split(',').filter(|directive| !directive.is_empty() && !directive.contains('[')) {
        match directive.split_once('=') {
            Some((logger, level)) => levels.push((logger.to_owned(), level.to_owned())),
            None => levels.insert(0, (ROOT.to_owned(), directive.to_owned())),
        }
    }
    if levels.first().is_none_or(|(logger, _)| logger != ROOT) {
        levels.insert(0, (ROOT.to_owned(), "error".to_owned()));
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = directives(&filter(text).unwrap().to_string());
        let found: Vec<_> = found.iter().map(|(logger, level)| (logger.as_str(), level.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn loggers_of_a_filter() {
        check("info", &[("ROOT", "info")]);
        check("ditto_kafka=debug,warn", &[("ROOT", "warn"), ("ditto_kafka", "debug")]);
        check("audit=info", &[("ROOT", "error"), ("audit", "info")]);
    }

    #[test]
    fn no_level_and_no_logger_is_refused() {
        assert!(set_level("audit", "loud").is_err());
        assert!(set_level("a,b=trace", "info").is_err());
        assert!(set_level("", "info").is_err());
    }
}
