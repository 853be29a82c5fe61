//! Explanations as they are shown.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{Decision, TargetExplanation, Verdict};
use crate::leaf::Destined;

impl Verdict {
    /// The word for it: `published`, `not-selected`, `unknown`, `dropped` or `failed`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::NotSelected => "not-selected",
            Self::Unknown(_) => "unknown",
            Self::Dropped(_) => "dropped",
            Self::Failed(_) => "failed",
        }
    }

    /// The name under which a signal that was dropped or failed is counted.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Dropped(reason) => Some(reason.name()),
            Self::Failed(error) => Some(error.kind().name()),
            _ => None,
        }
    }
}

impl TargetExplanation {
    /// `{connection, target, address, outcome, reason?, because?, remedy?, decisions: […], records?}`. Values and payloads are
    /// texts as they would be published.
    pub fn to_json(&self) -> Value {
        let mut json = json!({
            "connection": &*self.connection_id, "target": self.target.index(), "address": self.address(),
            "outcome": self.verdict.name(),
        });
        if let Some(members) = json.as_object_mut() {
            let mut put = |name: &str, value: Option<String>| {
                if let Some(value) = value {
                    members.insert(name.to_owned(), value.into());
                }
            };
            put("reason", self.verdict.reason().map(str::to_owned));
            put("because", self.because());
            put("remedy", self.remedy());
            members.insert("decisions".to_owned(), self.decisions.iter().map(decision).collect());
            if !self.records.is_empty() {
                members.insert("records".to_owned(), self.records.iter().map(record).collect());
            }
        }
        json
    }
}

fn decision(decision: &Decision) -> Value {
    let mut members = Map::new();
    members.insert("step".to_owned(), decision.step.into());
    members.insert("passes".to_owned(), decision.passes.into());
    members.insert("says".to_owned(), decision.says.as_str().into());
    if let Some(remedy) = &decision.remedy {
        members.insert("remedy".to_owned(), remedy.as_str().into());
    }
    members.extend(decision.details.clone());
    members.into()
}

fn record(destined: &Destined) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Map<_, _> =
        destined.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value).into())).collect();
    json!({
        "topic": destined.destination.topic.as_str(), "key": destined.destination.key.as_deref().map(text),
        "partition": destined.destination.partition, "headers": headers, "payload": text(&destined.payload),
    })
}

impl fmt::Display for TargetExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} target {} → {}: {}",
            self.connection_id,
            self.target.index(),
            Line(self.address()),
            self.verdict.name()
        )?;
        if let Some(reason) = self.verdict.reason() {
            write!(f, " ({reason})")?;
        }
        if let Some(because) = self.because() {
            write!(f, "\n  because  {}", Line(&because))?;
        }
        if let Some(remedy) = self.remedy() {
            write!(f, "\n  remedy   {}", Line(&remedy))?;
        }
        for decision in &self.decisions {
            let mark = if decision.passes { '+' } else { '-' };
            write!(f, "\n  {mark} {:<10} {}", decision.step, Line(&decision.says))?;
            decision.lines.iter().try_for_each(|line| write!(f, "\n      {}", Line(line)))?;
        }
        self.records.iter().try_for_each(|record| show_record(record, f))
    }
}

fn show_record(destined: &Destined, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let destination = &destined.destination;
    write!(f, "\n  = topic     {}", Line(destination.topic.as_str()))?;
    match (&destination.key, destination.partition) {
        (_, Some(partition)) => write!(f, "\n    partition {partition}")?,
        (Some(key), None) => write!(f, "\n    key       {}", Line(&text(key)))?,
        (None, None) => write!(f, "\n    partition one after the other")?,
    }
    for (name, value) in &destined.headers {
        write!(f, "\n    header    {}: {}", Line(name.as_str()), Line(&text(value)))?;
    }
    write!(f, "\n    payload   {}", Line(&text(&destined.payload)))
}

/// A text in one line, without what a terminal would obey, cut where it is long.
struct Line<'t>(&'t str);

/// Longest text that is shown to people, in characters.
const MAX_SHOWN: usize = 2_000;

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for (at, c) in self.0.chars().enumerate() {
            match c {
                _ if at == MAX_SHOWN => return f.write_str("…"),
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
