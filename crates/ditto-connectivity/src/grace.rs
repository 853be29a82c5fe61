//! How long a stop may take.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The time that a stop may take, over all its steps.
#[derive(Debug, Clone)]
pub(crate) struct Grace {
    total: Duration,
    until: Arc<OnceLock<Instant>>,
}

impl Grace {
    pub(crate) fn new(total: Duration) -> Self {
        Self { total, until: Arc::default() }
    }

    /// All of it.
    pub(crate) fn total(&self) -> Duration {
        self.total
    }

    /// What is left of it; it begins when somebody first asks.
    pub(crate) fn left(&self) -> Duration {
        let until = self.until.get_or_init(|| Instant::now() + self.total);
        until.saturating_duration_since(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_steps_share_it() {
        let grace = Grace::new(Duration::from_secs(60));
        let first = grace.left();
        assert!(first <= grace.total() && grace.clone().left() <= first);
        assert_eq!(Grace::new(Duration::ZERO).left(), Duration::ZERO);
    }
}
