//! Dead letters: where they go, and the command that publishes them again.

mod feed;
mod redrive;
mod survey;

use std::io;
use std::sync::Arc;

use ditto_connection::{Connection, ConnectionStatus};
use ditto_kafka::{ClientError, ClusterSettings, Group, GroupError, GroupErrorKind, GroupPosition, SeekTo};
use ditto_outbound::{CompiledConnection, RunOptions};

use crate::cli::{DeadLettersCommand, LettersArgs};
use crate::config::{Config, ConfigErrors, FeedConfig};
use crate::directory::DirectoryError;
use crate::exit;
use crate::mappers::run_options;
use crate::publish::cluster_of;
use crate::run::{chain, code_of_store, fail};
use crate::store::StoreError;

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

/// Why the command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
enum LettersError {
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error("connections cannot be read")]
    Store(#[source] StoreError),
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Topic(String),
    #[error("dead letters of `{0}`")]
    Client(String, #[source] ClientError),
    #[error("dead letters of `{0}`: {1}")]
    Group(String, GroupError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("no runtime")]
    Runtime(#[source] io::Error),
}

impl LettersError {
    fn code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Topic(_) | Self::Directory(_) => exit::CONFIG,
            Self::Store(error) => code_of_store(error),
            Self::Usage(_) => exit::USAGE,
            Self::Group(_, error) if error.kind() == GroupErrorKind::NotThere => exit::USAGE,
            Self::Client(..) | Self::Group(..) | Self::Runtime(_) => exit::UNAVAILABLE,
        }
    }
}

/// Does it. The exit code.
pub(crate) fn run(command: DeadLettersCommand) -> u8 {
    let done = match command {
        DeadLettersCommand::List(args) => survey::list(&args).map(|()| exit::OK),
        DeadLettersCommand::Redrive(args) if args.dry_run => survey::dry_run(&args).map(|()| exit::OK),
        DeadLettersCommand::Redrive(args) => redrive::redrive(&args),
    };
    done.unwrap_or_else(|error| fail(&chain(&error), error.code()))
}

/// The letters of a connection, and who has read how far.
struct Letters {
    config: Config,
    connection: Arc<Connection>,
    compiled: Arc<CompiledConnection>,
    topic: String,
    cluster: ClusterSettings,
    group: Group,
    positions: Vec<GroupPosition>,
}

/// Letters of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    partition: i32,
    /// The first offset.
    from: i64,
    /// The offset after the last one.
    to: i64,
}

impl Letters {
    fn open(args: &LettersArgs) -> Result<Self, LettersError> {
        let config = Config::load(&args.config)?;
        let id = args.connection.as_str();
        let loaded = config.store.open().and_then(|store| store.load()).map_err(LettersError::Store)?;
        let mut connections = loaded.records.into_iter().map(|record| record.connection);
        let Some(connection) = connections.find(|connection| connection.id().as_str() == id) else {
            return Err(LettersError::Usage(format!(
                "there is no connection `{id}`, or it is broken: run --check says more"
            )));
        };
        let Some(topic) = topic(&connection, &config).map_err(LettersError::Topic)? else {
            return Err(LettersError::Usage(format!(
                "connection `{id}` has no topic for dead letters; set dead_letters in [lanes], or in [lanes.connection.\"{id}\"]"
            )));
        };
        let on_hold = config.lanes.of(id).on_hold;
        let options = RunOptions { on_hold, dead_letters: Some(topic.clone()), ..run_options() };
        let compiled = CompiledConnection::compile(&connection, &options);
        let cluster = cluster_of(&connection);
        let first = match &config.feed {
            FeedConfig::Kafka(feed) => feed.group_id.as_str(),
            FeedConfig::Ndjson { .. } => "ditto-connectivity",
        };
        let group = Group::open(&cluster, format!("{first}.{id}.dead-letters"))
            .map_err(|error| LettersError::Client(id.to_owned(), error))?;
        let positions = group
            .positions(std::slice::from_ref(&topic))
            .map_err(|error| LettersError::Group(id.to_owned(), error))?;
        Ok(Self { config, connection, compiled, topic, cluster, group, positions })
    }

    fn id(&self) -> &str {
        self.connection.id().as_str()
    }

    fn group_error(&self, error: GroupError) -> LettersError {
        LettersError::Group(self.id().to_owned(), error)
    }

    fn client_error(&self, error: ClientError) -> LettersError {
        LettersError::Client(self.id().to_owned(), error)
    }

    /// What the arguments choose; without `from` from where the group stands, or from the first one.
    fn parts(&self, args: &LettersArgs, from_first: bool) -> Result<Vec<Part>, LettersError> {
        let place = |to: SeekTo| {
            if let SeekTo::Offset(_) = to {
                let text = "an offset is one of a partition: give a time, earliest or latest";
                return Err(LettersError::Usage(text.to_owned()));
            }
            let seeks = self.group.plan(&self.positions, to).map_err(|error| self.group_error(error))?;
            Ok(seeks.iter().map(|seek| seek.to).collect::<Vec<_>>())
        };
        let from = args.from.map(|from| place(from.seek_to())).transpose()?;
        let to = args.to.map(|to| place(to.seek_to())).transpose()?;
        let chosen = |of: &Option<Vec<i64>>, at: usize| of.as_ref().and_then(|all| all.get(at).copied());
        let parts = self.positions.iter().enumerate().map(|(at, position)| {
            let own = position.committed.filter(|_| !from_first).unwrap_or(position.low).max(position.low);
            let from = chosen(&from, at).unwrap_or(own);
            let to = chosen(&to, at).unwrap_or(position.high).min(position.high).max(from);
            Part { partition: position.partition, from, to }
        });
        Ok(parts.collect())
    }

    /// Fails for a connection that must not publish.
    fn must_be_open(&self) -> Result<(), LettersError> {
        if self.connection.status() == ConnectionStatus::Open {
            return Ok(());
        }
        Err(LettersError::Usage(format!(
            "connection `{}` is closed: open it to publish its letters again",
            self.id()
        )))
    }
}
