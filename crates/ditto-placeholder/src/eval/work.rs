//! A bound on what one function does for one message.

use crate::error::FunctionErrorKind;

/// Bytes that are looked at: some hundredths of a second, and some tenths with the worst of regular expressions.
const MAX_WORK: usize = 1 << 26;

/// Counts what is looked at, so that many values with many others, or a text that is searched again and again, end in time.
#[derive(Debug, Default)]
pub(super) struct Work(usize);

impl Work {
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), FunctionErrorKind> {
        self.check(bytes)?;
        self.0 = self.0.saturating_add(bytes);
        Ok(())
    }

    /// Whether so much may still be spent.
    pub(super) fn check(&self, bytes: usize) -> Result<(), FunctionErrorKind> {
        if self.0.saturating_add(bytes) > MAX_WORK { Err(FunctionErrorKind::TooMuchWork) } else { Ok(()) }
    }
}
