//! Dead letters: where they go, and the command that publishes them again.

mod feed;
mod redrive;
mod survey;

use std::sync::Arc;

use ditto_connection::{Connection, ConnectionStatus};
use ditto_kafka::{ClientError, ClusterSettings, Group, GroupError, GroupPosition, SeekTo};
use ditto_outbound::{CompiledConnection, RunOptions};

use crate::cli::{DeadLettersCommand, LettersArgs};
use crate::config::{Config, FeedConfig};
use crate::exit;
use crate::mappers::run_options;
use crate::offline::{self, CommandError};
use crate::plane::letters::topic;
use crate::publish::cluster_of;

/// Does it. The exit code.
pub(crate) fn run(command: DeadLettersCommand) -> u8 {
    let done = match command {
        DeadLettersCommand::List(args) => survey::list(&args).map(|()| exit::OK),
        DeadLettersCommand::Redrive(args) if args.dry_run => survey::dry_run(&args).map(|()| exit::OK),
        DeadLettersCommand::Redrive(args) => redrive::redrive(&args),
    };
    offline::ended(done)
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

/// As errors name them.
fn letters_of(id: &str) -> String {
    format!("dead letters of `{id}`")
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
    fn open(args: &LettersArgs) -> Result<Self, CommandError> {
        let (config, records) = offline::load(&args.config)?;
        let id = args.connection.as_str();
        let mut connections = records.into_iter().map(|record| record.connection);
        let Some(connection) = connections.find(|connection| connection.id().as_str() == id) else {
            return Err(CommandError::Usage(format!(
                "there is no connection `{id}`, or it is broken: run --check says more"
            )));
        };
        let Some(topic) = topic(&connection, &config).map_err(CommandError::Setting)? else {
            return Err(CommandError::Usage(format!(
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
            .map_err(|error| CommandError::Client(letters_of(id), error))?;
        let positions = group
            .positions(std::slice::from_ref(&topic))
            .map_err(|error| CommandError::Group(letters_of(id), error))?;
        Ok(Self { config, connection, compiled, topic, cluster, group, positions })
    }

    fn id(&self) -> &str {
        self.connection.id().as_str()
    }

    fn group_error(&self, error: GroupError) -> CommandError {
        CommandError::Group(letters_of(self.id()), error)
    }

    fn client_error(&self, error: ClientError) -> CommandError {
        CommandError::Client(letters_of(self.id()), error)
    }

    /// What the arguments choose; without `from` from where the group stands, or from the first one.
    fn parts(&self, args: &LettersArgs, from_first: bool) -> Result<Vec<Part>, CommandError> {
        let place = |to: SeekTo| {
            if let SeekTo::Offset(_) = to {
                let text = "an offset is one of a partition: give a time, earliest or latest";
                return Err(CommandError::Usage(text.to_owned()));
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
    fn must_be_open(&self) -> Result<(), CommandError> {
        if self.connection.status() == ConnectionStatus::Open {
            return Ok(());
        }
        Err(CommandError::Usage(format!(
            "connection `{}` is closed: open it to publish its letters again",
            self.id()
        )))
    }
}
