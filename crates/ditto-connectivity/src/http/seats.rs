//! A bounded number of connections, in which whoever does nothing makes room.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Places for connections. One that waits for a request is ended when another needs its place, the longest idle first:
/// idle connections, however many, keep nobody out.
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
    idle_since: Option<u64>,
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

impl Seats {
    pub(super) fn new(places: usize) -> Self {
        Self { table: Arc::default(), places }
    }

    /// A place, if there is one, or an idle connection has one.
    pub(super) fn take(&self) -> Option<Seat> {
        let mut table = self.lock();
        if table.taken.len() >= self.places && !table.clear_one() {
            return None;
        }
        let (id, cleared) = (table.tick(), CancellationToken::new());
        table.taken.insert(id, Place { idle_since: Some(id), working: 0, cleared: cleared.clone() });
        drop(table);
        Some(Seat { seats: self.clone(), id, cleared })
    }

    /// Ends the longest idle connection, if one is.
    pub(super) fn clear_one(&self) {
        self.lock().clear_one();
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

    fn clear_one(&mut self) -> bool {
        let idle = self.taken.iter().filter_map(|(id, place)| Some((place.idle_since?, *id)));
        let Some((_, longest)) = idle.min() else { return false };
        if let Some(place) = self.taken.remove(&longest) {
            place.cleared.cancel();
        }
        true
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
                place.idle_since = Some(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_idle_makes_room() {
        let seats = Seats::new(2);
        let (first, second) = (seats.take().unwrap(), seats.take().unwrap());
        drop(first.work());
        let third = seats.take().unwrap();
        assert!(second.cleared().is_cancelled());
        assert!(!first.cleared().is_cancelled());
        drop(second);
        assert!(!third.cleared().is_cancelled(), "who was cleared frees no other's place");
    }

    #[test]
    fn whoever_works_stays() {
        let seats = Seats::new(1);
        let first = seats.take().unwrap();
        let work = first.work();
        assert!(seats.take().is_none());
        assert!(!first.cleared().is_cancelled());
        drop(work);
        assert!(seats.take().is_some());
        assert!(first.cleared().is_cancelled());
    }

    #[test]
    fn who_has_left_has_no_place() {
        let seats = Seats::new(1);
        for _ in 0..3 {
            let seat = seats.take().unwrap();
            assert!(!seat.cleared().is_cancelled());
        }
    }
}
