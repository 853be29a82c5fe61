use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn permits(records: usize, bytes: usize) -> Permits {
    Permits::new(Bounds { records, bytes })
}

#[test]
fn bounded_by_records_and_by_bytes() {
    let permits = permits(2, 100);
    assert!(permits.try_acquire(1, 60));
    assert!(!permits.try_acquire(1, 41));
    assert!(permits.try_acquire(1, 40));
    assert!(!permits.try_acquire(1, 0));
    assert_eq!(permits.in_use(), (2, 100));
}

#[test]
fn a_release_wakes_everyone_who_waits_once() {
    let permits = permits(1, 100);
    assert!(permits.try_acquire(1, 1));
    let counts = [Arc::<Count>::default(), Arc::default()];
    for count in &counts {
        let waker = Waker::from(Arc::clone(count));
        let mut cx = Context::from_waker(&waker);
        // Polled twice, as a task that is woken for another reason does.
        assert!(permits.poll_acquire(&mut cx, 1, 1).is_pending());
        assert!(permits.poll_acquire(&mut cx, 1, 1).is_pending());
    }
    permits.release(1, 1);
    permits.release(0, 0);
    assert_eq!(counts.map(|it| it.0.load(Ordering::Relaxed)), [1, 1]);
}

proptest! {
    /// Whatever was granted and given back, nothing is left and the bounds were kept.
    #[test]
    fn nothing_leaks(steps in prop::collection::vec((any::<bool>(), 0_usize..50), 0..200)) {
        let permits = permits(10, 100);
        let mut held = Vec::new();
        for (acquire, bytes) in steps {
            if acquire && permits.try_acquire(1, bytes) {
                held.push(bytes);
            } else if let Some(bytes) = held.pop() {
                permits.release(1, bytes);
            }
            prop_assert_eq!(permits.in_use(), (held.len(), held.iter().sum()));
            prop_assert!(held.len() <= 10 && held.iter().sum::<usize>() <= 100);
        }
        for bytes in held {
            permits.release(1, bytes);
        }
        prop_assert_eq!(permits.in_use(), (0, 0));
    }
}
