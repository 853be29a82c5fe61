//! The runbook has an entry for each status and each reason, and for nothing else.

use std::path::Path;

use ditto_outbound::{DeliverErrorKind, DropReason, FeedDrop, LaneCounters, PassedOver, Refusal, Settling};

use crate::registry::Recovery;
use crate::standing::Word;

/// The names in the first column of a section's table, each with all of its columns.
fn entries(runbook: &str, section: &str) -> Vec<String> {
    let heading = format!("\n## {section}\n");
    let (_, text) = runbook.split_once(&heading).unwrap_or_else(|| panic!("no section `{section}`"));
    let text = text.split("\n## ").next().unwrap_or_default();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let name = |row: &str| {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
        cells[0].trim_matches('`').to_owned()
    };
    rows.map(name).collect()
}

#[track_caller]
fn check(section: &str, names: impl IntoIterator<Item = impl ToString>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbook.md");
    let runbook = std::fs::read_to_string(&path).unwrap();
    let (mut found, mut known) =
        (entries(&runbook, section), names.into_iter().map(|it| it.to_string()).collect::<Vec<_>>());
    found.sort_unstable();
    known.sort_unstable();
    assert_eq!(found, known, "section `{section}` of {}", path.display());
}

#[test]
fn each_status_is_explained() {
    check("Live status", Word::ALL);
    check("Recovery status", Recovery::ALL);
}

#[test]
fn each_reason_is_explained() {
    check("No signals", FeedDrop::ALL.map(FeedDrop::name));
    let unreadable = LaneCounters::default().snapshot().unreadable;
    check("Readable by nobody", unreadable.into_iter().map(|(name, _)| name));
    check("Passed over", PassedOver::ALL.map(PassedOver::name));
    check("Dropped", DropReason::ALL.map(DropReason::name));
    check("Failed", DeliverErrorKind::NAMES);
}

#[test]
fn each_reason_to_hold_is_explained() {
    let refusal = Refusal { retriable: true };
    let kinds = [
        DeliverErrorKind::AddressUnresolved,
        DeliverErrorKind::AddressInvalid,
        DeliverErrorKind::Record(refusal),
        DeliverErrorKind::Batch(refusal),
        DeliverErrorKind::Target(refusal),
        DeliverErrorKind::Connection(refusal),
        DeliverErrorKind::Producer(refusal),
        DeliverErrorKind::ThingAbsent,
        DeliverErrorKind::ThingUnknown,
        DeliverErrorKind::Mapping,
    ];
    assert_eq!(kinds.map(DeliverErrorKind::name), DeliverErrorKind::NAMES);
    let holds = |kind: &DeliverErrorKind| {
        matches!(Settling::of(*kind, true, true), Settling::HoldTarget | Settling::HoldConnection)
    };
    check("On hold", kinds.into_iter().filter(holds).map(DeliverErrorKind::name));
}
