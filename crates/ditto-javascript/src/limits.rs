//! Bounds of scripts.

use std::time::Duration;

/// Bounds of scripts.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ScriptLimits {
    /// Longest script, in UTF-16 units, as the reference counts: 50 000.
    pub max_script: usize,
    /// Longest time of one call, of the processor: 500 ms. Ten times as long by the clock ends it as well.
    pub max_time: Duration,
    /// Most memory of one scope, in bytes: 32 MiB. One block of it, such as a text, may take a quarter.
    pub max_memory: usize,
    /// Deepest stack, in bytes of the engine: 256 KiB.
    pub max_stack: usize,
    /// Most scopes that are kept at a time, by all mappers of a factory together: 128. One more takes the place of that
    /// which was used longest ago.
    pub max_scopes: usize,
}

impl Default for ScriptLimits {
    fn default() -> Self {
        Self {
            max_script: 50_000,
            max_time: Duration::from_millis(500),
            max_memory: 32 << 20,
            max_stack: 256 << 10,
            max_scopes: 128,
        }
    }
}
