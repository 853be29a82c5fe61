//! Bounds of scripts.

use std::time::Duration;

/// Bounds of the scripts of one mapper.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ScriptLimits {
    /// Longest script, in UTF-16 units, as the reference counts: 50 000.
    pub max_script: usize,
    /// Longest time of one call: 500 ms. What runs within the engine, such as one multiplication of huge integers, is stopped
    /// only when it comes back to the script.
    pub max_time: Duration,
    /// Most memory of one mapper, in bytes: 32 MiB.
    pub max_memory: usize,
    /// Deepest stack, in bytes of the engine: 256 KiB.
    pub max_stack: usize,
}

impl Default for ScriptLimits {
    fn default() -> Self {
        Self {
            max_script: 50_000,
            max_time: Duration::from_millis(500),
            max_memory: 32 << 20,
            max_stack: 256 << 10,
        }
    }
}
