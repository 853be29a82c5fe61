//! How connections are served: the table `[lanes]`.

use std::collections::BTreeMap;

use ditto_outbound::OnHold;

use super::FeedConfig;
use super::dead_letters::LettersTopic;
use super::section::Section;

/// How connections are served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LanesConfig {
    default: Serving,
    by_connection: BTreeMap<String, Serving>,
}

/// How one connection is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serving {
    /// Whose position in the feed it has.
    pub lane: LaneKind,
    /// What becomes of its signals while they cannot be published.
    pub on_hold: OnHold,
    /// Where its signals go that have failed.
    pub dead_letters: Option<LettersTopic>,
}

/// Whose position in the feed a connection has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LaneKind {
    /// Its own: it waits for nobody, and the feed is read once more for it.
    #[default]
    Own,
    /// That of all shared ones: the feed is read and decoded once for them, and what holds one holds all.
    Shared,
}

impl LanesConfig {
    /// How the connection of that id is served.
    #[must_use]
    pub fn of(&self, connection_id: &str) -> &Serving {
        self.by_connection.get(connection_id).unwrap_or(&self.default)
    }

    /// Connections that are named here.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.by_connection.keys().map(String::as_str)
    }

    pub(super) fn read(section: &mut Section<'_>, feed: Option<&FeedConfig>) -> Self {
        let default = serving(section, None, feed, &Serving::default());
        let of_connections = section.tables("connection").into_iter().map(|(id, mut section)| {
            let serving = serving(&mut section, Some(&id), feed, &default);
            section.end();
            (id, serving)
        });
        let by_connection = of_connections.collect();
        Self { default, by_connection }
    }
}

fn serving(
    section: &mut Section<'_>,
    connection_id: Option<&str>,
    feed: Option<&FeedConfig>,
    default: &Serving,
) -> Serving {
    let lane = section.choice("lane", &[("own", LaneKind::Own), ("shared", LaneKind::Shared)]);
    let on_hold = section.choice("on_hold", &[("wait", OnHold::Wait), ("drop", OnHold::Drop)]);
    let dead_letters = LettersTopic::read(section, connection_id, feed);
    Serving {
        lane: lane.unwrap_or(default.lane),
        on_hold: on_hold.unwrap_or(default.on_hold),
        dead_letters: dead_letters.unwrap_or_else(|| default.dead_letters.clone()),
    }
}
