//! A publisher that outlives its producer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ditto_kafka::{Bounds, ClientError, ProducerPool, ProducerSettings, Publisher};
use tokio::time::Sleep;
use tracing::{info, warn};

/// A publisher on the pool's producer for its settings. A producer that has failed for good, or that another of its users
/// has given up, is replaced once every record in flight has come back, and takes none before that: so they can be
/// enqueued again in their order.
#[derive(Debug)]
pub(crate) struct Outlet {
    pool: ProducerPool,
    settings: ProducerSettings,
    limits: Bounds,
    pub(crate) publisher: Publisher,
    /// Until another producer may be made.
    pause: Option<Pin<Box<Sleep>>>,
    /// How long the next pause is; zero once a record was delivered.
    next_pause: Duration,
}

/// Between two producers that fail for good one after the other, from the first pause to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Outlet {
    pub(crate) fn new(
        pool: &ProducerPool,
        settings: ProducerSettings,
        limits: Bounds,
    ) -> Result<Self, ClientError> {
        let publisher = pool.publisher(&settings, limits)?;
        let pool = pool.clone();
        Ok(Self { pool, settings, limits, publisher, pause: None, next_pause: Duration::ZERO })
    }

    /// Ready once there is a producer that is not condemned. Completions have to be taken all the while: those of a
    /// condemned one wake whoever waits here.
    pub(crate) fn poll_sound(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.publisher.is_condemned() {
            if self.publisher.in_flight() > 0 {
                return Poll::Pending;
            }
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            } else if !self.next_pause.is_zero() {
                self.pause = Some(Box::pin(tokio::time::sleep(self.next_pause)));
                self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
                continue;
            }
            self.next_pause = self.next_pause.max(FIRST_PAUSE);
            match self.pool.publisher(&self.settings, self.limits) {
                Ok(publisher) => {
                    info!("kafka producer made anew");
                    self.publisher = publisher;
                }
                Err(error) => warn!(%error, "kafka producer not made anew, will be tried again"),
            }
        }
        Poll::Ready(())
    }

    /// A record was delivered: the next producer may be made at once.
    pub(crate) fn works(&mut self) {
        self.next_pause = Duration::ZERO;
    }

    /// Nobody waits for what is in flight any longer: it comes back, and is not published later.
    pub(crate) fn take_back(&self) {
        if self.publisher.in_flight() > 0 {
            self.publisher.condemn();
        }
    }
}

/// What is in flight must not be published later, after what was published since (design.md §3, invariant 5).
impl Drop for Outlet {
    fn drop(&mut self) {
        self.take_back();
    }
}
