//! Where acknowledgements go.

use std::collections::VecDeque;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use ditto_kafka::{
    Bounds, ClientError, Completion, OwnedRecord, ProducerPool, ProducerSettings, Record, Scope, Token,
};
use ditto_outbound::AcknowledgementSink;
use ditto_protocol::Acknowledgements;
use tokio::sync::mpsc;
use tracing::{error, warn};

use crate::grace::Grace;
use crate::outlet::Outlet;

/// Acknowledgements as lines of Ditto Protocol JSON. Clones write to the same place.
#[derive(Clone)]
pub(crate) struct NdjsonAcknowledgements {
    output: Arc<Mutex<Box<dyn Write + Send>>>,
}

impl NdjsonAcknowledgements {
    /// Makes the file anew, or takes stdout for `-`.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let output: Box<dyn Write + Send> =
            if path == Path::new("-") { Box::new(io::stdout()) } else { Box::new(File::create(path)?) };
        Ok(Self { output: Arc::new(Mutex::new(output)) })
    }
}

impl AcknowledgementSink for NdjsonAcknowledgements {
    fn send(&mut self, acknowledgements: Acknowledgements) {
        let mut line = Vec::new();
        acknowledgements.write(&mut line);
        line.push(b'\n');
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = output.write_all(&line).and_then(|()| output.flush()) {
            error!(%error, entity = acknowledgements.entity_id(), "acknowledgement not written");
        }
    }
}

/// Acknowledgements to a topic, keyed by the id of the entity. Clones share the producer.
#[derive(Clone)]
pub(crate) struct KafkaAcknowledgements {
    queue: mpsc::Sender<Acknowledgements>,
}

/// Acknowledgements that wait to be enqueued; beyond that they are dropped, counted in the log.
const QUEUE: usize = 10_000;

impl KafkaAcknowledgements {
    /// Starts the task that publishes them; it ends after the last sink is dropped, when everything is sent or the
    /// grace time has passed.
    pub(crate) fn start(
        pool: &ProducerPool,
        settings: &ProducerSettings,
        topic: String,
        grace: Grace,
    ) -> Result<(Self, tokio::task::JoinHandle<()>), ClientError> {
        let outlet = Outlet::new(pool, settings.clone(), Bounds::default())?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        Ok((Self { queue }, tokio::spawn(publish(outlet, topic, waiting, grace))))
    }
}

impl AcknowledgementSink for KafkaAcknowledgements {
    fn send(&mut self, acknowledgements: Acknowledgements) {
        if let Err(error) = self.queue.try_send(acknowledgements) {
            let entity = error.into_inner().entity_id();
            error!(entity, "acknowledgement dropped: more than {QUEUE} wait for their topic");
        }
    }
}

async fn publish(
    mut outlet: Outlet,
    topic: String,
    mut waiting: mpsc::Receiver<Acknowledgements>,
    grace: Grace,
) {
    let mut completions = Vec::new();
    let mut again = VecDeque::new();
    loop {
        let next = poll_fn(|cx| {
            take_back(&mut outlet, cx, &mut completions, &mut again);
            match again.pop_front() {
                Some(record) => Poll::Ready(Some(record)),
                None => waiting.poll_recv(cx).map(|it| it.map(|it| record(&topic, &it))),
            }
        });
        let Some(record) = next.await else { break };
        send(&mut outlet, record, &mut completions, &mut again).await;
    }
    let rest = async {
        loop {
            while let Some(record) = again.pop_front() {
                send(&mut outlet, record, &mut completions, &mut again).await;
            }
            if outlet.publisher.in_flight() == 0 {
                return;
            }
            let _flushed = outlet.publisher.flush(grace.left()).await;
            poll_fn(|cx| {
                take_back(&mut outlet, cx, &mut completions, &mut again);
                Poll::Ready(())
            })
            .await;
        }
    };
    if tokio::time::timeout(grace.left(), rest).await.is_err() {
        let in_flight = outlet.publisher.in_flight();
        warn!(topic, in_flight, "acknowledgements still on their way at the end");
    }
}

fn record(topic: &str, acknowledgements: &Acknowledgements) -> OwnedRecord {
    let mut payload = Vec::new();
    acknowledgements.write(&mut payload);
    OwnedRecord::to(topic)
        .key(acknowledgements.entity_id().to_owned())
        .payload(payload)
        .header("content-type", "application/vnd.eclipse.ditto+json")
}

/// Enqueues a record as soon as there is room.
async fn send(
    outlet: &mut Outlet,
    record: OwnedRecord,
    completions: &mut Vec<Completion>,
    again: &mut VecDeque<OwnedRecord>,
) {
    let bytes = record.payload.as_ref().map_or(0, |payload| payload.len());
    poll_fn(|cx| {
        // Completions give the room back; only an answer that there are none leaves a waker.
        take_back(outlet, cx, completions, again);
        ready!(outlet.poll_sound(cx));
        outlet.publisher.poll_ready(cx, bytes)
    })
    .await;
    let borrowed = Record {
        topic: &record.topic,
        partition: None,
        key: record.key.as_deref(),
        payload: record.payload.as_deref(),
        headers: record.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref())),
    };
    match outlet.publisher.enqueue(borrowed, Token(0)) {
        Ok(()) => {}
        Err(error) if error.scope() == Scope::Producer => again.push_back(record),
        Err(error) => error!(%error, topic = record.topic, "acknowledgement not published"),
    }
}

/// Takes what has completed. What the producer could not send goes out again.
fn take_back(
    outlet: &mut Outlet,
    cx: &mut Context<'_>,
    completions: &mut Vec<Completion>,
    again: &mut VecDeque<OwnedRecord>,
) {
    while outlet.publisher.poll_completions(cx, completions).is_ready() {}
    for completion in completions.drain(..) {
        match (completion.result, completion.record) {
            (Ok(_), _) => outlet.works(),
            (Err(error), Some(record)) if error.scope() == Scope::Producer => {
                outlet.publisher.condemn();
                again.push_back(*record);
            }
            (Err(error), _) => error!(%error, "acknowledgement not published"),
        }
    }
}
