//! Where dead letters go.

use ditto_connection::Connection;

use crate::config::Config;

/// The id of what takes records of the feed as they were. No connection has it: `@` is in none.
pub(crate) const ORIGINALS: &str = "@dead-letters";

/// The topic for dead letters of a connection, if it has one.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn topic(connection: &Connection, config: &Config) -> Result<Option<String>, String> {
    let id = connection.id().as_str();
    let topic = config.lanes.of(id).dead_letters.as_ref().map(|topic| topic.of(id, Some(&config.feed)));
    topic
        .transpose()
        .map_err(|why| format!("lanes.dead_letters: {why}; or name one in [lanes.connection.\"{id}\"]"))
}
