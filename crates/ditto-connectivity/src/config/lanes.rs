//! How connections are served: the table `[lanes]`.

use std::collections::BTreeMap;

use ditto_outbound::OnHold;

use super::section::Section;

/// How connections are served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LanesConfig {
    default: Serving,
    by_connection: BTreeMap<String, Serving>,
}

/// How one connection is served.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Serving {
    /// Whose position in the feed it has.
    pub lane: LaneKind,
    /// What becomes of its signals while they cannot be published.
    pub on_hold: OnHold,
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
    pub fn of(&self, connection_id: &str) -> Serving {
        self.by_connection.get(connection_id).copied().unwrap_or(self.default)
    }

    /// Connections that are named here.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.by_connection.keys().map(String::as_str)
    }

    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = serving(section, Serving::default());
        let of_connections = section.tables("connection").into_iter().map(|(id, mut section)| {
            let serving = serving(&mut section, default);
            section.end();
            (id, serving)
        });
        Self { default, by_connection: of_connections.collect() }
    }
}

fn serving(section: &mut Section<'_>, default: Serving) -> Serving {
    let lane = section.choice("lane", &[("own", LaneKind::Own), ("shared", LaneKind::Shared)]);
    let on_hold = section.choice("on_hold", &[("wait", OnHold::Wait), ("drop", OnHold::Drop)]);
    Serving { lane: lane.unwrap_or(default.lane), on_hold: on_hold.unwrap_or(default.on_hold) }
}
