//! The kinds of mappers that there are.

use std::sync::Arc;

use crate::cloud_events::CloudEventsFactory;
use crate::connection_status::ConnectionStatusFactory;
use crate::ditto::DittoFactory;
use crate::finding::nearest;
use crate::implicit_thing::ImplicitThingFactory;
use crate::live_response::LiveResponseFactory;
use crate::mapper::MapperFactory;
use crate::normalized::NormalizedFactory;
use crate::raw_message::RawMessageFactory;

/// The kinds of mappers that definitions may have.
#[derive(Debug, Clone)]
pub struct Engines(Vec<Arc<dyn MapperFactory>>);

impl Default for Engines {
    /// Those of this crate: all of Ditto but JavaScript.
    fn default() -> Self {
        Self(vec![
            Arc::new(DittoFactory),
            Arc::new(NormalizedFactory),
            Arc::new(RawMessageFactory),
            Arc::new(CloudEventsFactory),
            Arc::new(ConnectionStatusFactory),
            Arc::new(ImplicitThingFactory),
            Arc::new(LiveResponseFactory),
        ])
    }
}

impl Engines {
    /// The same and one more, which comes before others of its name.
    #[must_use]
    pub fn with(mut self, factory: Arc<dyn MapperFactory>) -> Self {
        self.0.insert(0, factory);
        self
    }

    pub(crate) fn factories(&self) -> impl Iterator<Item = &dyn MapperFactory> {
        self.0.iter().map(|factory| &**factory)
    }

    /// Maps where no mapper is named.
    pub(crate) fn default_factory(&self) -> Arc<dyn MapperFactory> {
        Arc::new(DittoFactory)
    }

    /// The one of that name, or of that class of the reference.
    pub(crate) fn find(&self, engine: &str) -> Option<&dyn MapperFactory> {
        self.factories().find(|factory| factory.engine() == engine || factory.class() == engine)
    }

    pub(crate) fn instead_of(&self, engine: &str) -> String {
        let known = || self.factories().map(MapperFactory::engine);
        match nearest(engine, known()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("use one of {}", known().collect::<Vec<_>>().join(", ")),
        }
    }
}
