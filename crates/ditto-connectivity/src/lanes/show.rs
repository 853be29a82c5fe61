//! What `lanes` prints.
#![expect(clippy::print_stdout, reason = "this command's answer")]

use ditto_kafka::{Group, GroupError, GroupMember, GroupPosition, GroupProtocol, Seek};
use serde_json::json;

use crate::config::KafkaFeedConfig;
use crate::plane::lanes::Lane;

/// A lane and where it stands.
pub(super) struct Shown<'s> {
    pub(super) lane: &'s Lane,
    pub(super) members: &'s Members,
    pub(super) positions: &'s [GroupPosition],
}

/// Who runs a lane.
pub(super) enum Members {
    Known(Vec<GroupMember>),
    /// The query that librdkafka has tells nothing of members of the protocol `consumer`.
    Unknown,
}

impl Members {
    pub(super) fn of(feed: &KafkaFeedConfig, group: &Group) -> Result<Self, GroupError> {
        let members = group.members()?;
        let is_told = feed.group_protocol == GroupProtocol::Classic || !members.is_empty();
        Ok(if is_told { Self::Known(members) } else { Self::Unknown })
    }
}

const WIDTHS: [usize; 5] = [11, 9, 9, 9, 9];

pub(super) fn show_text(shown: &Shown<'_>, is_first: bool) {
    let Shown { lane, members, positions } = shown;
    let members = match members {
        Members::Known(members) if members.is_empty() => "no members".to_owned(),
        Members::Known(members) => {
            let names: Vec<_> =
                members.iter().map(|it| format!("{} from {}", it.client_id, it.host)).collect();
            format!("members: {}", names.join(", "))
        }
        Members::Unknown => "members are not shown with group_protocol = \"consumer\"".to_owned(),
    };
    if !is_first {
        println!();
    }
    println!(
        "lane {} (group {}), connections: {}; {members}",
        lane.name,
        lane.group,
        lane.connections.join(", ")
    );
    let topics = positions.iter().map(|it| it.topic.len()).max().unwrap_or_default().max("topic".len());
    let row = |topic: &str, cells: [String; 5]| {
        let cells: Vec<_> = cells.iter().zip(WIDTHS).map(|(cell, width)| format!("{cell:>width$}")).collect();
        println!("  {topic:<topics$} {}", cells.join(" "));
    };
    row("topic", ["partition", "committed", "low", "high", "lag"].map(str::to_owned));
    for it in *positions {
        let committed = it.committed.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
        row(
            &it.topic,
            [
                it.partition.to_string(),
                committed,
                it.low.to_string(),
                it.high.to_string(),
                it.lag().to_string(),
            ],
        );
    }
}

pub(super) fn show_json(shown: &Shown<'_>) {
    let Shown { lane, members, positions } = shown;
    let members = match members {
        Members::Known(members) => json!(members.len()),
        Members::Unknown => json!(null),
    };
    for it in *positions {
        let line = json!({
            "lane": lane.name, "group": lane.group, "connections": lane.connections, "members": members,
            "topic": &*it.topic, "partition": it.partition, "committed": it.committed,
            "low": it.low, "high": it.high, "lag": it.lag(),
        });
        println!("{line}");
    }
}

pub(super) fn show_seek(lane: &Lane, seeks: &[Seek], dry_run: bool) {
    for seek in seeks {
        let from = seek.from.map_or_else(|| "nothing committed".to_owned(), |offset| offset.to_string());
        let would = if dry_run { " (dry run: not changed)" } else { "" };
        println!("{}: {}[{}] {from} → {}{would}", lane.name, seek.topic, seek.partition, seek.to);
    }
}
