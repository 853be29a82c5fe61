//! What the quickstart shows: lines, and on a terminal a running line of counts below them.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use ditto_kafka::StoredRecord;

use crate::report::Report;
use crate::totals::Totals;

/// Plain text where it is no terminal.
pub(super) struct Screen {
    out: io::Stdout,
    is_terminal: bool,
    has_status: bool,
    status_at: Option<Instant>,
    last: Totals,
    /// Records shown per topic; `None` shows all.
    limit: Option<usize>,
    shown: BTreeMap<String, usize>,
    /// Signals that ended without a record, by where and why.
    dropped: BTreeMap<String, u64>,
}

impl Screen {
    pub(super) fn new(limit: Option<usize>) -> Self {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        Self {
            out,
            is_terminal,
            has_status: false,
            status_at: None,
            last: Totals::default(),
            limit,
            shown: BTreeMap::new(),
            dropped: BTreeMap::new(),
        }
    }

    /// A line of text.
    pub(super) fn line(&mut self, text: &str) {
        self.clear_status();
        // Nobody to show it to is no reason to stop: `| head` ends early.
        let _shown = writeln!(self.out, "{text}");
    }

    /// A record as it landed.
    pub(super) fn record(&mut self, stored: &StoredRecord) {
        let record = &stored.record;
        let shown = self.shown.entry(record.topic.clone()).or_default();
        *shown += 1;
        if let Some(limit) = self.limit
            && *shown > limit
        {
            if *shown == limit + 1 {
                let text = format!("{}: more records come, not shown", record.topic);
                self.line(&text);
            }
            return;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let partition = record.partition.unwrap_or_default();
        let key = record.key.as_deref().map_or("no key".to_owned(), |key| format!("key {}", text(key)));
        let headers: Vec<_> =
            record.headers.iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
        let value = text(record.payload.as_deref().unwrap_or_default());
        let (strong, weak, plain) =
            if self.is_terminal { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        self.line(&format!("{strong}{}[{partition}]@{}{plain}  {key}", record.topic, stored.offset));
        self.line(&format!("  {weak}{}{plain}", headers.join("  ")));
        self.line(&format!("  {value}"));
    }

    /// What was dropped or failed since the last time, with its reason.
    fn drops(&mut self, report: &Report) {
        let mut now = BTreeMap::new();
        for (feed, counts) in report.lanes() {
            for (reason, n) in counts.undecodable {
                now.insert(format!("dropped: a record of the feed of {feed} is no signal ({reason})"), n);
            }
        }
        for (connection, address, counts) in report.targets() {
            for (what, reasons) in [("dropped", counts.dropped), ("failed", counts.failed)] {
                for (reason, n) in reasons {
                    now.insert(format!("{what}: {connection} → {address} ({reason})"), n);
                }
            }
        }
        for (text, n) in now {
            let before = self.dropped.insert(text.clone(), n).unwrap_or_default();
            // As with records: a few are enough to see what it looks like.
            let is_shown = self.limit.is_none_or(|limit| before < limit as u64);
            if n > before && is_shown {
                self.line(&format!("{text}, {n} so far"));
            }
        }
    }

    /// The counts: on a terminal always in place, else every 5 s if something changed.
    pub(super) fn status(&mut self, report: &Report, force: bool) {
        let totals = report.totals();
        let interval = if self.is_terminal { Duration::from_millis(200) } else { Duration::from_secs(5) };
        let is_due = self.status_at.is_none_or(|at| at.elapsed() >= interval);
        if !(force || is_due && totals != self.last) {
            return;
        }
        self.status_at = Some(Instant::now());
        self.last = totals;
        self.drops(report);
        let Totals { published, dropped, failed, in_flight, undecodable, .. } = totals;
        let text = format!(
            "{published} published, {dropped} dropped, {failed} failed, {in_flight} in flight; {undecodable} records undecodable"
        );
        if !self.is_terminal {
            return self.line(&text);
        }
        self.clear_status();
        let _shown = write!(self.out, "{text}").and_then(|()| self.out.flush());
        self.has_status = true;
    }

    fn clear_status(&mut self) {
        if std::mem::take(&mut self.has_status) {
            let _shown = write!(self.out, "\r\x1b[2K");
        }
    }
}
