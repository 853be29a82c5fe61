//! What letters there are, without touching them.
#![expect(clippy::print_stdout, reason = "this command's answer")]

use std::collections::BTreeMap;
use std::time::Duration;

use ditto_kafka::{TableReader, TableRecord};
use ditto_outbound::Letter;
use jiff::Timestamp;
use serde_json::json;

use super::{Letters, Part};
use crate::cli::{ListLettersArgs, OutputFormat, RedriveArgs};
use crate::offline::CommandError;

/// Letters of one target and one reason.
#[derive(Debug, Default)]
struct Heap {
    letters: u64,
    /// Those that no `redrive` has passed.
    ahead: u64,
    first_ms: Option<i64>,
    last_ms: Option<i64>,
}

/// By address and reason.
type Heaps = BTreeMap<(String, String), Heap>;

const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn list(args: &ListLettersArgs) -> Result<(), CommandError> {
    let letters = Letters::open(&args.letters)?;
    let parts = letters.parts(&args.letters, true)?;
    let heaps = count(&letters, &parts, args.letters.reason.as_deref())?;
    show(&letters, &heaps, args.format);
    Ok(())
}

/// What `redrive` would take.
pub(super) fn dry_run(args: &RedriveArgs) -> Result<(), CommandError> {
    let letters = Letters::open(&args.letters)?;
    letters.must_be_open()?;
    let parts = letters.parts(&args.letters, false)?;
    let heaps = count(&letters, &parts, args.letters.reason.as_deref())?;
    println!("dry run: these would be published again, and nothing is changed");
    show(&letters, &heaps, OutputFormat::Text);
    Ok(())
}

fn count(letters: &Letters, parts: &[Part], reason: Option<&str>) -> Result<Heaps, CommandError> {
    let failed = |error| letters.client_error(error);
    let mut reader =
        TableReader::open(&letters.cluster, std::slice::from_ref(&letters.topic)).map_err(failed)?;
    let ends = reader.ends().map_err(failed)?;
    let mut heaps = Heaps::new();
    while !reader.has_read(&ends) {
        let Some(record) = reader.next(PATIENCE).map_err(failed)? else {
            let text = "the cluster hands out no more records, and there are some; try again";
            return Err(CommandError::Setting(text.to_owned()));
        };
        let is_chosen = parts
            .iter()
            .any(|part| part.partition == record.partition && (part.from..part.to).contains(&record.offset));
        let letter = Letter::read(&record.headers)
            .filter(|letter| is_chosen && letter.connection_id == letters.id())
            .filter(|letter| reason.is_none_or(|reason| reason == letter.reason));
        if let Some(letter) = letter {
            heaps.entry((letter.address, letter.reason)).or_default().add(letters, &record);
        }
    }
    Ok(heaps)
}

impl Heap {
    fn add(&mut self, letters: &Letters, record: &TableRecord) {
        let position = letters.positions.iter().find(|position| position.partition == record.partition);
        let committed = position.and_then(|position| position.committed).unwrap_or(0);
        self.letters += 1;
        self.ahead += u64::from(record.offset >= committed);
        self.first_ms = self.first_ms.into_iter().chain(record.timestamp_ms).min();
        self.last_ms = self.last_ms.into_iter().chain(record.timestamp_ms).max();
    }
}

fn show(letters: &Letters, heaps: &Heaps, format: OutputFormat) {
    let time = |ms: Option<i64>| {
        ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(|time| format!("{time:.0}"))
    };
    if format == OutputFormat::Text {
        println!("dead letters of {} in {}", letters.id(), letters.topic);
        if heaps.is_empty() {
            println!("  none");
        }
    }
    for ((address, reason), heap) in heaps {
        let (first, last) = (time(heap.first_ms), time(heap.last_ms));
        match format {
            OutputFormat::Json => println!(
                "{}",
                json!({
                    "connection": letters.id(), "topic": letters.topic, "address": address, "reason": reason,
                    "letters": heap.letters, "ahead": heap.ahead, "first": first, "last": last,
                })
            ),
            OutputFormat::Text => println!(
                "  {address}: {} {reason}, {} not published again yet, from {} to {}",
                heap.letters,
                heap.ahead,
                first.as_deref().unwrap_or("-"),
                last.as_deref().unwrap_or("-")
            ),
        }
    }
}
