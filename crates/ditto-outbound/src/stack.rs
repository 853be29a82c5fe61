//! The two stacks that every signal goes through, in order.

use tower::{Service, ServiceBuilder};

use crate::address::ResolveAddress;
use crate::authorize::Authorize;
use crate::filter::Filter;
use crate::headers::MapHeaders;
use crate::leaf::Destined;
use crate::map::MapSignal;
use crate::stage::{StageLayer, Staged};

/// From a selected signal to a message: what may be read of it, filtered, enriched, mapped.
pub(crate) type Prepare = Staged<Authorize, Staged<Filter, MapSignal>>;
/// From a message to a record in the leaf: headers and address.
pub(crate) type Deliver<L> = Staged<MapHeaders, Staged<ResolveAddress, L>>;

pub(crate) fn prepare() -> Prepare {
    ServiceBuilder::new()
        .layer(StageLayer::new(Authorize))
        .layer(StageLayer::new(Filter))
        .service(MapSignal::default())
}

pub(crate) fn deliver<L: Service<Destined>>(leaf: L) -> Deliver<L> {
    ServiceBuilder::new()
        .layer(StageLayer::new(MapHeaders))
        .layer(StageLayer::new(ResolveAddress))
        .service(leaf)
}
