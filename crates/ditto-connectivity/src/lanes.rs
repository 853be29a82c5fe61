//! The command `lanes`: where lanes stand in the feed, and how to move them while nobody runs them.

mod show;

use ditto_connection::ConnectionStatus;
use ditto_kafka::{Group, GroupPosition, SeekTo};

use self::show::{Shown, show_json, show_seek, show_text};
use crate::cli::{LanesCommand, ListArgs, OutputFormat, SeekArgs};
use crate::config::{FeedConfig, KafkaFeedConfig};
use crate::exit;
use crate::offline::{self, CommandError};
use crate::plane::lanes::{Lane, of, serve};
use crate::store::Record;

/// Does it. The exit code.
pub(crate) fn run(command: LanesCommand) -> u8 {
    let done = match command {
        LanesCommand::List(args) => list(&args),
        LanesCommand::Seek(args) => seek(&args),
    };
    offline::ended(done.map(|()| exit::OK))
}

/// A feed that has lanes, and the lanes.
fn load(config: &std::path::Path) -> Result<(KafkaFeedConfig, Vec<Lane>), CommandError> {
    let (config, records) = offline::load(config)?;
    let FeedConfig::Kafka(feed) = config.feed else {
        let text = "the feed is lines of JSON, which keep no position: there are lanes only with feed.kind = \"kafka\"";
        return Err(CommandError::Usage(text.to_owned()));
    };
    let is_open = |it: &&Record| it.connection.status() == ConnectionStatus::Open;
    let served = records.iter().filter(is_open).filter(|it| serve(&it.connection));
    let ids = served.map(|it| it.connection.id().as_str());
    let lanes = of(&feed, &config.lanes, ids);
    Ok((*feed, lanes))
}

fn list(args: &ListArgs) -> Result<(), CommandError> {
    let (feed, lanes) = load(&args.config)?;
    for (at, lane) in lanes.iter().enumerate() {
        let group = open(&feed, lane)?;
        let of_lane = |error| CommandError::Group(shown(lane), error);
        let positions = group.positions(&feed.topics).map_err(of_lane)?;
        let members = show::Members::of(&feed, &group).map_err(of_lane)?;
        let shown = Shown { lane, members: &members, positions: &positions };
        match args.format {
            OutputFormat::Text => show_text(&shown, at == 0),
            OutputFormat::Json => show_json(&shown),
        }
    }
    Ok(())
}

/// Looks at every lane before it moves the first.
fn seek(args: &SeekArgs) -> Result<(), CommandError> {
    let to = args.to.seek_to();
    if matches!(to, SeekTo::Offset(_)) && args.partition.is_none() {
        let text = "an offset is one of a partition: add --topic and --partition, or give a time";
        return Err(CommandError::Usage(text.to_owned()));
    }
    let (feed, lanes) = load(&args.config)?;
    let lanes = chosen(lanes, args)?;
    let topics = topics(&feed, args)?;
    let mut moves = Vec::new();
    for lane in lanes {
        let group = open(&feed, &lane)?;
        let of_lane = |error| CommandError::Group(shown(&lane), error);
        if !args.dry_run {
            group.must_be_idle().map_err(of_lane)?;
        }
        let positions = partition(group.positions(&topics).map_err(of_lane)?, args)?;
        let seeks = group.plan(&positions, to).map_err(of_lane)?;
        moves.push((lane, group, seeks));
    }
    for (lane, group, seeks) in &moves {
        if !args.dry_run {
            group.seek(seeks).map_err(|error| CommandError::Group(shown(lane), error))?;
        }
        show_seek(lane, seeks, args.dry_run);
    }
    Ok(())
}

fn open(feed: &KafkaFeedConfig, lane: &Lane) -> Result<Group, CommandError> {
    Group::open(&feed.cluster, &*lane.group).map_err(|error| CommandError::Client(shown(lane), error))
}

fn chosen(lanes: Vec<Lane>, args: &SeekArgs) -> Result<Vec<Lane>, CommandError> {
    let Some(name) = &args.lane else { return Ok(lanes) };
    let known: Vec<_> = lanes.iter().map(|lane| lane.name.clone()).collect();
    let lanes: Vec<_> = lanes.into_iter().filter(|lane| lane.name == *name).collect();
    if lanes.is_empty() {
        return Err(CommandError::Usage(format!("there is no lane `{name}`; known are {}", listed(&known))));
    }
    Ok(lanes)
}

fn topics(feed: &KafkaFeedConfig, args: &SeekArgs) -> Result<Vec<String>, CommandError> {
    match &args.topic {
        None => Ok(feed.topics.clone()),
        Some(topic) if feed.topics.contains(topic) => Ok(vec![topic.clone()]),
        Some(topic) => Err(CommandError::Usage(format!(
            "`{topic}` is no topic of the feed; those are {}",
            listed(&feed.topics)
        ))),
    }
}

fn partition(positions: Vec<GroupPosition>, args: &SeekArgs) -> Result<Vec<GroupPosition>, CommandError> {
    let Some(wanted) = args.partition else { return Ok(positions) };
    let there = positions.len();
    let found: Vec<_> = positions.into_iter().filter(|it| it.partition == wanted).collect();
    if found.is_empty() {
        let text = format!("there is no partition {wanted}; the topic has {there}, from 0");
        return Err(CommandError::Usage(text));
    }
    Ok(found)
}

/// As errors name it.
fn shown(lane: &Lane) -> String {
    format!("lane `{}`", lane.name)
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { format!("`{}`", names.join("`, `")) }
}
