//! Where acknowledgements go.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ditto_kafka::{Bounds, ClientError, ProducerPool, ProducerSettings, Publisher, Record, Token};
use ditto_outbound::AcknowledgementSink;
use ditto_protocol::Acknowledgements;
use tokio::sync::mpsc;
use tracing::{error, warn};

use crate::grace::Grace;

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
        let publisher = pool.publisher(settings, Bounds::default())?;
        let (queue, waiting) = mpsc::channel(QUEUE);
        Ok((Self { queue }, tokio::spawn(publish(publisher, topic, waiting, grace))))
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
    mut publisher: Publisher,
    topic: String,
    mut waiting: mpsc::Receiver<Acknowledgements>,
    grace: Grace,
) {
    let mut completions = Vec::new();
    let mut payload = Vec::new();
    while let Some(acknowledgements) = waiting.recv().await {
        payload.clear();
        acknowledgements.write(&mut payload);
        poll_fn(|cx| {
            // Completions give the room back; only an answer that there are none leaves a waker.
            while publisher.poll_completions(cx, &mut completions).is_ready() {}
            publisher.poll_ready(cx, payload.len())
        })
        .await;
        log_failures(&mut completions);
        let entity = acknowledgements.entity_id();
        let record = Record::to(&topic)
            .key(entity.as_bytes())
            .payload(&payload)
            .headers([("content-type", &b"application/vnd.eclipse.ditto+json"[..])]);
        if let Err(error) = publisher.enqueue(record, Token(0)) {
            error!(%error, entity, topic, "acknowledgement not published");
        }
    }
    if !publisher.flush(grace.left()).await {
        warn!(topic, in_flight = publisher.in_flight(), "acknowledgements still on their way at the end");
    }
    let _none = poll_fn(|cx| std::task::Poll::Ready(publisher.poll_completions(cx, &mut completions))).await;
    log_failures(&mut completions);
}

fn log_failures(completions: &mut Vec<ditto_kafka::Completion>) {
    for completion in completions.drain(..) {
        if let Err(error) = completion.result {
            error!(%error, "acknowledgement not published");
        }
    }
}
