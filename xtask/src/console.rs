//! The only place that prints: results to stdout, progress to stderr.

use std::fmt::Display;

/// A line of the result.
#[expect(clippy::print_stdout, reason = "the product of a command line tool")]
pub(crate) fn result(line: impl Display) {
    println!("{line}");
}

/// A line about what is going on.
#[expect(clippy::print_stderr, reason = "progress of a command line tool")]
pub(crate) fn progress(line: impl Display) {
    eprintln!("{line}");
}
