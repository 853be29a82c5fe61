//! A bounded number of connections, in which whoever does nothing makes room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// Places for connections. One that waits for a request is ended when another needs its place, the longest idle first:
/// idle connections, however many, keep nobody out. One that has just come is left the time to send its request.
#[derive(Debug, Clone)]
pub(super) struct Seats {
    table: Arc<Mutex<Table>>,
    places: usize,
}

#[derive(Debug, Default)]
struct Table {
    taken: HashMap<u64, Place>,
    /// Counts everything that happens: an order without a clock.
    time: u64,
}

#[derive(Debug)]
struct Place {
    /// `None` while it works on requests.
    idle_since: Option<(u64, Instant)>,
    working: usize,
    cleared: CancellationToken,
}

/// A connection's place; it is free when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    id: u64,
    cleared: CancellationToken,
}

/// A request that is worked on; until this is dropped its connection keeps its place.
#[derive(Debug)]
pub(super) struct Work {
    seats: Seats,
    id: u64,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSeat {
    /// All work on requests.
    Busy,
    /// The longest idle one has just come: its request may be on its way. It can be ended after this time.
    Young(Duration),
}

/// So long nobody is ended for others, however many come: a request that was sent at once is read.
const RESPITE: Duration = Duration::from_millis(100);

impl Seats {
    pub(super) fn new(places: usize) -> Self {
        Self { table: Arc::default(), places }
    }

    /// A place, if there is one, or an idle connection has one.
    pub(super) fn take(&self, now: Instant) -> Result<Seat, NoSeat> {
        let mut table = self.lock();
        if table.taken.len() >= self.places {
            let (longest, since) = table.longest_idle().ok_or(NoSeat::Busy)?;
            let idle_for = now.saturating_duration_since(since);
            if idle_for < RESPITE {
                return Err(NoSeat::Young(RESPITE - idle_for));
            }
            table.clear(longest);
        }
        let (id, cleared) = (table.tick(), CancellationToken::new());
        table.taken.insert(id, Place { idle_since: Some((id, now)), working: 0, cleared: cleared.clone() });
        drop(table);
        Ok(Seat { seats: self.clone(), id, cleared })
    }

    /// Ends the longest idle connection, if one is.
    pub(super) fn clear_one(&self) {
        let mut table = self.lock();
        if let Some((longest, _)) = table.longest_idle() {
            table.clear(longest);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn tick(&mut self) -> u64 {
        self.time += 1;
        self.time
    }

    fn longest_idle(&self) -> Option<(u64, Instant)> {
        let idle = self.taken.iter().filter_map(|(id, place)| Some((place.idle_since?, *id)));
        idle.min_by_key(|((time, _), _)| *time).map(|((_, since), id)| (id, since))
    }

    fn clear(&mut self, id: u64) {
        if let Some(place) = self.taken.remove(&id) {
            place.cleared.cancel();
        }
    }
}

impl Seat {
    /// Is cancelled when another one needs the place.
    pub(super) fn cleared(&self) -> CancellationToken {
        self.cleared.clone()
    }

    /// Keeps the place while a request is worked on.
    pub(super) fn work(&self) -> Work {
        let mut table = self.seats.lock();
        if let Some(place) = table.taken.get_mut(&self.id) {
            place.working += 1;
            place.idle_since = None;
        }
        Work { seats: self.seats.clone(), id: self.id }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().taken.remove(&self.id);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut table = self.seats.lock();
        let now = table.tick();
        if let Some(place) = table.taken.get_mut(&self.id) {
            place.working = place.working.saturating_sub(1);
            if place.working == 0 {
                place.idle_since = Some((now, Instant::now()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever is there now has been idle for long enough.
    fn later() -> Instant {
        Instant::now() + RESPITE * 2
    }

    #[test]
    fn the_longest_idle_makes_room() {
        let seats = Seats::new(2);
        let now = Instant::now();
        let (first, second) = (seats.take(now).unwrap(), seats.take(now).unwrap());
        drop(first.work());
        let third = seats.take(later()).unwrap();
        assert!(second.cleared().is_cancelled());
        assert!(!first.cleared().is_cancelled());
        drop(second);
        assert!(!third.cleared().is_cancelled(), "who was cleared frees no other's place");
    }

    #[test]
    fn whoever_works_stays() {
        let seats = Seats::new(1);
        let first = seats.take(Instant::now()).unwrap();
        let work = first.work();
        assert_eq!(seats.take(later()).unwrap_err(), NoSeat::Busy);
        assert!(!first.cleared().is_cancelled());
        drop(work);
        assert!(seats.take(later()).is_ok());
        assert!(first.cleared().is_cancelled());
    }

    #[test]
    fn whoever_has_just_come_is_not_ended_by_a_crowd() {
        let seats = Seats::new(1);
        let now = Instant::now();
        let first = seats.take(now).unwrap();
        assert_eq!(seats.take(now).unwrap_err(), NoSeat::Young(RESPITE));
        assert_eq!(seats.take(now + RESPITE / 4).unwrap_err(), NoSeat::Young(RESPITE * 3 / 4));
        assert!(!first.cleared().is_cancelled());
        assert!(seats.take(now + RESPITE).is_ok());
        assert!(first.cleared().is_cancelled());
    }

    #[test]
    fn who_has_left_has_no_place() {
        let seats = Seats::new(1);
        for _ in 0..3 {
            let seat = seats.take(Instant::now()).unwrap();
            assert!(!seat.cleared().is_cancelled());
        }
    }
}
