use std::sync::atomic::AtomicUsize;
use std::task::Wake;

use super::*;

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn report(publisher: u32, slot: u32) -> Report {
    Report {
        opaque: Opaque { publisher, slot },
        error: 0,
        partition: 0,
        offset: 0,
        timestamp_ms: -1,
        bytes: 1,
        record: None,
    }
}

fn slots(reports: &[Report]) -> Vec<u32> {
    reports.iter().map(|report| report.opaque.slot).collect()
}

#[test]
fn each_publisher_gets_its_own_in_order_and_is_woken_once() {
    let mailboxes = Mailboxes::default();
    let (first, inbox) = mailboxes.open().unwrap();
    let (second, other) = mailboxes.open().unwrap();
    let woken = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut taken = Vec::new();
    inbox.take(&mut taken, &waker);
    assert!(taken.is_empty());

    let nobody =
        mailboxes.deliver(&mut vec![report(first, 1), report(first, 2), report(second, 7), report(first, 3)]);
    assert_eq!(nobody, 0);
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    inbox.take(&mut taken, &waker);
    assert_eq!(slots(&taken), [1, 2, 3]);
    assert_eq!(other.waiting(&waker), 1);
}

#[test]
fn reports_for_a_publisher_that_is_gone_are_counted() {
    let mailboxes = Mailboxes::default();
    let (gone, _) = mailboxes.open().unwrap();
    mailboxes.close(gone);
    let (next, inbox) = mailboxes.open().unwrap();
    assert_ne!(gone, next, "never reused");
    assert_eq!(mailboxes.deliver(&mut vec![report(gone, 1), report(gone, 2), report(next, 3)]), 2);
    let mut taken = Vec::new();
    inbox.take(&mut taken, Waker::noop());
    assert_eq!(slots(&taken), [3]);
}

#[test]
fn an_opaque_survives_the_way_through_a_pointer() {
    for (publisher, slot) in [(0, 0), (1, u32::MAX), (u32::MAX, 1), (u32::MAX, u32::MAX)] {
        let opaque = Opaque { publisher, slot };
        assert_eq!(Opaque::unpack(opaque.pack()), opaque);
    }
}
