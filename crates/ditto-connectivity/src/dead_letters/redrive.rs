//! The command `dead-letters redrive`: a lane whose feed is the topic for the letters of its connection.
#![expect(clippy::print_stdout, reason = "this command's answer")]

use ditto_kafka::{Consumer, ConsumerSettings, Delivery, OnTruncation, ProducerPool, StartAt};
use ditto_outbound::{
    CompiledConnection, FeedPolicy, Intake, InternalHeaders, Lane, LaneCounts, NoAcknowledgements, OnHold,
};
use ditto_protocol::Limits;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::feed::LetterFeed;
use super::{Letters, Part};
use crate::cli::RedriveArgs;
use crate::directory::SharedDirectory;
use crate::exit;
use crate::grace::Grace;
use crate::offline::CommandError;
use crate::process::{runtime, stop_on_signals};
use crate::publish::KafkaLeaf;
use crate::publish::producer;
use crate::telemetry;

/// Does it. The exit code.
pub(super) fn redrive(args: &RedriveArgs) -> Result<u8, CommandError> {
    let letters = Letters::open(&args.letters)?;
    letters.must_be_open()?;
    letters.group.must_be_idle().map_err(|error| letters.group_error(error))?;
    let parts = letters.parts(&args.letters, false)?;
    if let Some(from) = args.letters.from {
        // From there on, also if that was published again before.
        let seeks = letters.group.plan(&letters.positions, from.seek_to());
        let sought = seeks.and_then(|seeks| letters.group.seek(&seeks));
        sought.map_err(|error| letters.group_error(error))?;
    }
    if parts.iter().all(|part| part.from >= part.to) {
        println!("{}: no letters that were not published again", letters.id());
        return Ok(exit::OK);
    }
    telemetry::init(&letters.config.log);
    let runtime = runtime().map_err(CommandError::Runtime)?;
    runtime.block_on(publish(&letters, &parts, args.letters.reason.clone()))
}

async fn publish(letters: &Letters, parts: &[Part], reason: Option<String>) -> Result<u8, CommandError> {
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signals(stop.clone()));
    let (config, grace) = (&letters.config, Grace::new(letters.config.grace));
    let directory = config.directory.as_ref();
    let directory = directory
        .map(|config| SharedDirectory::start(config, &tokio::runtime::Handle::current()))
        .transpose()?;
    let pool = ProducerPool::new();
    let delivery = match letters.compiled.on_hold() {
        OnHold::Wait => Delivery::Replayable,
        OnHold::Drop => Delivery::best_effort(),
    };
    let settings = producer(&config.producer, letters.cluster.clone(), delivery);
    let leaf = KafkaLeaf::new(&pool, settings).map_err(|error| letters.client_error(error))?;
    let policy = policy(config.policy.limits, directory.is_some());
    let settings = ConsumerSettings::new(
        letters.cluster.clone(),
        letters.group.id(),
        std::slice::from_ref(&letters.topic),
    )
    .with_start_at(StartAt::Earliest)
    .with_on_truncation(OnTruncation::Earliest)
    .with_max_value_bytes(policy.limits.max_bytes);
    let consumer = Consumer::start(&settings).map_err(|error| letters.client_error(error))?;
    let feed =
        LetterFeed::new(consumer, parts, letters.compiled.clone(), directory.is_some(), reason, stop.clone());
    let served = vec![(letters.compiled.clone(), leaf)];
    let lane = Lane::new(feed, Intake::new(policy), served, Box::new(NoAcknowledgements));
    let lane = match &directory {
        Some(directory) => lane.with_directory(Box::new(directory.lane())),
        None => lane,
    };
    let counters = lane.counters();
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(grace.left()).await;
    };
    let feed = tokio::select! {
        feed = lane.run() => Some(feed),
        () = overdue => None,
    };
    let code = show(letters, &counters.snapshot(), feed.as_ref());
    let closed = match feed {
        Some(feed) => feed.close(grace.left()).await.map_err(|error| letters.client_error(error))?,
        None => false,
    };
    if !closed || stop.is_cancelled() {
        warn!("stopped before the end: what was not committed is published again by the next redrive");
    }
    drop(directory);
    pool.closed(grace.left()).await;
    Ok(code)
}

/// A letter may be longer than its signal: headers have their defaults in it. Who may read is said by the feed, from a letter that was
/// made for the subjects of the target, or by the directory.
fn policy(mut limits: Limits, has_directory: bool) -> FeedPolicy {
    const MORE: usize = 64 << 10;
    let internal_headers = if has_directory { InternalHeaders::default() } else { InternalHeaders::Trust };
    limits.max_bytes += MORE;
    FeedPolicy { internal_headers, limits }
}

/// Says what became of the letters. The exit code.
fn show(letters: &Letters, lane: &LaneCounts, feed: Option<&LetterFeed>) -> u8 {
    let connection: &CompiledConnection = &letters.compiled;
    let listed = |counts: &[(&'static str, u64)]| {
        let some = counts.iter().filter(|(_, n)| *n > 0);
        some.map(|(reason, n)| format!(", {n} {reason}")).collect::<String>()
    };
    println!("{}: {} letters taken from {}", connection.id(), lane.received, letters.topic);
    let mut failed = 0;
    for target in connection.targets() {
        let counts = target.counters().snapshot();
        if counts.selected == 0 {
            continue;
        }
        let again = counts.failed.iter().map(|(_, n)| n).sum::<u64>();
        failed += again;
        println!(
            "  {}: {} published{}, {again} failed again{}",
            target.address_text(),
            counts.published,
            listed(&counts.dropped),
            listed(&counts.failed)
        );
    }
    if lane.unselected > 0 {
        println!("  {} not for their target any more", lane.unselected);
    }
    let other = [&lane.unreadable, &lane.undecodable].map(|counts| listed(counts)).concat();
    if !other.is_empty() {
        println!("  not published{other}");
    }
    for (why, n) in feed.into_iter().flat_map(|feed| &feed.passed_over) {
        println!("  {n} passed over: {why}");
    }
    if failed > 0 { exit::FAILED } else { exit::OK }
}
