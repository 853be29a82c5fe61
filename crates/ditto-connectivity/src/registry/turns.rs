//! Whose turn it is to change a connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ditto_protocol::ConnectionId;
use tokio::sync::OwnedMutexGuard;

/// One queue for each connection that somebody changes.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<ConnectionId, Weak<tokio::sync::Mutex<()>>>>);

/// The connection is changed by nobody else until this is dropped.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits until nobody else changes the connection; those who wait come in the order in which they came.
    pub(super) async fn take(&self, id: &ConnectionId) -> Turn {
        let queue = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match queues.get(id).and_then(Weak::upgrade) {
                Some(queue) => queue,
                None => {
                    queues.retain(|_, queue| queue.strong_count() > 0);
                    let queue = Arc::new(tokio::sync::Mutex::new(()));
                    queues.insert(id.clone(), Arc::downgrade(&queue));
                    queue
                }
            }
        };
        queue.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_after_the_other_and_each_for_itself() {
        let turns = Turns::default();
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let first = turns.take(&a).await;
        let _other = turns.take(&b).await;
        let mut second = std::pin::pin!(turns.take(&a));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
        drop(first);
        let second = second.await;
        drop(second);
        let _c = turns.take(&"c".parse().unwrap()).await;
        let queues: Vec<_> = turns.0.lock().unwrap().keys().map(ToString::to_string).collect();
        assert!(!queues.contains(&"a".to_owned()), "{queues:?}");
    }
}
