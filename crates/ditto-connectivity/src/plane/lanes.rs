//! Which lanes there are.

use ditto_connection::Connection;

use crate::config::{KafkaFeedConfig, LaneKind, LanesConfig};

/// A position in the feed: one consumer group, and the connections that it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) connections: Vec<String>,
    /// Whether it has a position: not for a connection without targets.
    pub(crate) reads: bool,
}

impl Lane {
    /// Of a connection that has nothing to publish.
    pub(crate) fn without_feed(id: &str) -> Self {
        Self { name: id.to_owned(), group: String::new(), connections: vec![id.to_owned()], reads: false }
    }
}

/// No connection has this name: `@` is in none.
pub(crate) const SHARED: &str = "@shared";

/// Whether a connection has a lane: there is nothing to read for one without targets.
pub(crate) fn serve(connection: &Connection) -> bool {
    !connection.targets().is_empty()
}

/// All lanes that a run with this feed has: one for each connection, and one for all that share.
pub(crate) fn of<'a>(
    feed: &KafkaFeedConfig,
    serving: &LanesConfig,
    connections: impl Iterator<Item = &'a str>,
) -> Vec<Lane> {
    let (mut lanes, mut sharing) = (Vec::new(), Vec::new());
    for id in connections {
        match serving.of(id).lane {
            LaneKind::Own => lanes.push(Lane {
                name: id.to_owned(),
                group: format!("{}.{id}", feed.group_id),
                connections: vec![id.to_owned()],
                reads: true,
            }),
            LaneKind::Shared => sharing.push(id.to_owned()),
        }
    }
    if !sharing.is_empty() {
        lanes.push(Lane {
            name: SHARED.to_owned(),
            group: feed.group_id.clone(),
            connections: sharing,
            reads: true,
        });
    }
    lanes
}
