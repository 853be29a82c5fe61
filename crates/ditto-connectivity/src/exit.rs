//! Exit codes (sysexits.h), as documented in docs/operations.md.

/// Ended as asked.
pub const OK: u8 = 0;
/// Ended as asked, and something was lost or differed: signals failed, or the quickstart got other records than due.
pub const FAILED: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 64;
/// What `eval` was given is wrong: the expression, a signal or a thing. What an expression gives is an answer, whatever it is.
pub const DATA: u8 = 65;
/// Something that is needed is not available: a file, a client.
pub const UNAVAILABLE: u8 = 69;
/// A bug.
pub const INTERNAL: u8 = 70;
/// The configuration or every definition is wrong.
pub const CONFIG: u8 = 78;
/// Ended at once by a second signal; what was in flight comes again from a replayable feed.
pub const INTERRUPTED: u8 = 130;
