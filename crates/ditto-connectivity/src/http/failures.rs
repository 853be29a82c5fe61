//! Failed logins, counted by address in bounded memory.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many may fail at once.
const BURST: u32 = 10;
/// And then one for each such time.
const INTERVAL: Duration = Duration::from_secs(6);
/// Networks that are known at a time; all others share one count then.
const MAX_NETWORKS: usize = 8_192;

/// Who has failed how often. Each attempt counts as failed until it has succeeded, so that many at once do not pass.
#[derive(Debug, Default)]
pub(super) struct Failures {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    known: HashMap<IpAddr, Debt>,
    others: Debt,
}

/// When all that was done will be forgotten (the theoretical arrival time of GCRA).
#[derive(Debug, Default, Clone, Copy)]
struct Debt(Option<Instant>);

impl Failures {
    /// Counts an attempt.
    ///
    /// # Errors
    /// It must not be made before this time has passed.
    pub(super) fn attempt(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.debt(network(address), now).add(now)
    }

    /// Takes an attempt back: it has succeeded.
    pub(super) fn succeeded(&self, address: IpAddr, now: Instant) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.debt(network(address), now).take_back();
    }

    #[cfg(test)]
    fn known(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).known.len()
    }
}

impl Table {
    fn debt(&mut self, network: IpAddr, now: Instant) -> &mut Debt {
        if self.known.len() >= MAX_NETWORKS && !self.known.contains_key(&network) {
            self.known.retain(|_, debt| debt.0.is_some_and(|at| at > now));
            if self.known.len() >= MAX_NETWORKS {
                return &mut self.others;
            }
        }
        self.known.entry(network).or_default()
    }
}

impl Debt {
    fn add(&mut self, now: Instant) -> Result<(), Duration> {
        let forgotten = self.0.map_or(now, |at| at.max(now)) + INTERVAL;
        let over = forgotten.duration_since(now).saturating_sub(INTERVAL * BURST);
        if over > Duration::ZERO {
            return Err(over);
        }
        self.0 = Some(forgotten);
        Ok(())
    }

    fn take_back(&mut self) {
        self.0 = self.0.and_then(|at| at.checked_sub(INTERVAL));
    }
}

/// Whoever has one IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn a_burst_fails_and_then_one_at_a_time() {
        let (failures, now) = (Failures::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(failures.attempt(address(1), now), Ok(()));
        }
        assert_eq!(failures.attempt(address(1), now), Err(INTERVAL));
        assert_eq!(failures.attempt(address(2), now), Ok(()));
        assert_eq!(failures.attempt(address(1), now + INTERVAL), Ok(()));
        assert!(failures.attempt(address(1), now + INTERVAL).is_err());
    }

    #[test]
    fn what_succeeds_does_not_count() {
        let (failures, now) = (Failures::default(), Instant::now());
        for _ in 0..100 {
            assert_eq!(failures.attempt(address(1), now), Ok(()));
            failures.succeeded(address(1), now);
        }
    }

    #[test]
    fn neighbours_in_a_network_are_one() {
        let (failures, now) = (Failures::default(), Instant::now());
        for n in 0..u128::from(BURST) {
            assert_eq!(failures.attempt(IpAddr::V6(Ipv6Addr::from_bits(1 << 100 | n)), now), Ok(()));
        }
        assert!(failures.attempt(IpAddr::V6(Ipv6Addr::from_bits(1 << 100 | 99)), now).is_err());
    }

    #[test]
    fn any_number_of_addresses_takes_bounded_memory() {
        let (failures, now) = (Failures::default(), Instant::now());
        let refused = (0..100_000).filter(|n| failures.attempt(address(*n), now).is_err()).count();
        assert_eq!(failures.known(), MAX_NETWORKS);
        assert!(refused > 90_000, "those that are not known share one count");
        assert_eq!(failures.attempt(address(200_000), now + INTERVAL * 100), Ok(()));
        assert_eq!(failures.known(), 1, "what is forgotten makes room");
    }
}
