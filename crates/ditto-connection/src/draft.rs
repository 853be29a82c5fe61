//! A definition that is to become a connection, by whom it came.

use ditto_protocol::ConnectionId;

use crate::mapper::{MapperCheck, MapperFinding, MappingDefinition};
use crate::model::Connection;
use crate::parse;
use crate::report::ValidationReport;

/// A definition that is to become a connection. Where it comes from decides about its id and status; a change may leave
/// secrets masked.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    pub(crate) text: &'a str,
    pub(crate) origin: Origin<'a>,
    pub(crate) stored: Option<&'a Connection>,
    pub(crate) mappers: Option<MapperCheck<'a>>,
}

/// Where a definition comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    File,
    Command,
    Post(&'a ConnectionId),
    Put(&'a ConnectionId),
    DryRun(&'a ConnectionId),
}

impl<'a> Draft<'a> {
    /// A file: a connection, or the envelope of the DevOps command around one.
    pub fn of_file(text: &'a str) -> Self {
        Self { text, origin: Origin::File, stored: None, mappers: None }
    }

    /// The connection of a DevOps command. It has its id.
    pub fn of_command(text: &'a str) -> Self {
        Self { text, origin: Origin::Command, stored: None, mappers: None }
    }

    /// The body of a POST. It has no id, not even a null, and gets this one; without a status it is `unknown`.
    pub fn of_post(text: &'a str, id: &'a ConnectionId) -> Self {
        Self { text, origin: Origin::Post(id), stored: None, mappers: None }
    }

    /// The body of a PUT to this id. It has the same id or none.
    pub fn of_put(text: &'a str, id: &'a ConnectionId) -> Self {
        Self { text, origin: Origin::Put(id), stored: None, mappers: None }
    }

    /// The body of a POST that only tries a connection. It has its id, or gets this one; it has its status.
    pub fn of_dry_run(text: &'a str, id: &'a ConnectionId) -> Self {
        Self { text, origin: Origin::DryRun(id), stored: None, mappers: None }
    }

    /// Where the mask stands for a secret, that of `stored` is kept: what [`Connection::to_json`] has given can be changed
    /// and brought back. Without this, or if `stored` has no such secret, a mask is an error.
    pub fn with_secrets_of(self, stored: &'a Connection) -> Self {
        Self { stored: Some(stored), ..self }
    }

    /// Has the options of each definition looked at that a source or a target names: only payload mappers know them.
    pub fn with_mappers(self, check: &'a dyn Fn(&MappingDefinition) -> Vec<MapperFinding>) -> Self {
        Self { mappers: Some(check), ..self }
    }

    /// Reads it.
    ///
    /// # Errors
    /// Everything that is wrong with it, if one finding refuses it.
    pub fn read(self) -> Result<Connection, ValidationReport> {
        parse::connection(self)
    }
}

/// Without its text, since that holds secrets.
impl std::fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draft").field("origin", &self.origin).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
