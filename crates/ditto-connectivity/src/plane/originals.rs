//! Where records of the feed go that are no signals, or have failed: as they were, to the operator's own topic.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ditto_kafka::{ClientError, Delivery, Fingerprint, ProducerPool, ProducerSettings};
use ditto_outbound::{CompiledConnection, CompiledTarget};

use super::{DataPlane, letters};
use crate::config::FeedConfig;
use crate::publish::{KafkaLeaf, producer};

/// What keeps them for one lane.
pub(crate) struct Originals {
    compiled: Arc<CompiledConnection>,
    settings: ProducerSettings,
    client: Fingerprint,
    /// Somebody asks its cluster just now.
    pub(crate) is_probed: AtomicBool,
}

impl Originals {
    /// `None` if the configuration does not say where they go.
    pub(super) fn of(plane: &DataPlane) -> Option<Arc<Self>> {
        let config = &plane.0.config;
        let originals = config.dead_letters.as_ref().filter(|_| plane.stamps_to().is_none())?;
        let delivery = match config.feed {
            FeedConfig::Kafka(_) => Delivery::Replayable,
            FeedConfig::Ndjson { .. } => Delivery::best_effort(),
        };
        let settings = producer(&config.producer, originals.cluster.clone(), delivery);
        Some(Arc::new(Self {
            compiled: CompiledConnection::of_originals(letters::ORIGINALS, &originals.topic),
            client: settings.fingerprint(),
            settings,
            is_probed: AtomicBool::new(false),
        }))
    }

    /// For [`ditto_outbound::Lane::with_originals`].
    pub(super) fn leaf(
        &self,
        pool: &ProducerPool,
    ) -> Result<(Arc<CompiledConnection>, KafkaLeaf), ClientError> {
        Ok((self.compiled.clone(), KafkaLeaf::new(pool, self.settings.clone())?))
    }

    /// The topic, as a target.
    pub(crate) fn letters(&self) -> Option<&Arc<CompiledTarget>> {
        self.compiled.dead_letters()
    }

    pub(crate) fn connection(&self) -> &CompiledConnection {
        &self.compiled
    }

    pub(crate) fn client(&self) -> &Fingerprint {
        &self.client
    }

    pub(crate) fn servers(&self) -> &[String] {
        &self.settings.cluster.bootstrap_servers
    }
}
