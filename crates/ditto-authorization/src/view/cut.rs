//! Cutting JSON text down to a view.

use std::ops::Range;

use ditto_json::{RawString, ScanError, Scanner};
use ditto_protocol::{Action, Signal};

use super::{Access, Node, Spot, View};

/// What is left of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// All of it, as it stands.
    Whole,
    /// This; what it keeps is kept byte for byte.
    Part(String),
    /// Nothing.
    Nothing,
}

impl Cut {
    /// What is left of `text`, the text that was cut.
    pub fn of<'t>(&'t self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Whole => Some(text),
            Self::Part(part) => Some(part),
            Self::Nothing => None,
        }
    }
}

/// How a text is applied to the thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// It is what stands there.
    Content,
    /// It is merged into what stands there.
    MergePatch,
}

impl View {
    /// Cuts what stands at a path of the thing. Leaves are scalars, arrays and empty objects; an object of which nothing
    /// is left vanishes (policies.md §4). What is no JSON is nothing.
    pub fn cut(&self, path: &str, json: &str) -> Cut {
        cut(self.spot(path), json, Mode::Content)
    }

    /// Cuts a merge patch for a path of the thing. Merged into what the reader has seen so far it gives what the reader
    /// may see afterwards: where something that may not be read takes the place of what may be read in part, it is
    /// written as `null`, and a `null` stays.
    pub fn cut_merge_patch(&self, path: &str, json: &str) -> Cut {
        cut(self.spot(path), json, Mode::MergePatch)
    }

    /// Cuts the value of an event of a thing.
    ///
    /// - A deletion has no value. It passes where everything may be read, and gets the value `{}` where parts may be.
    /// - What takes the place of something that may be read in part is `{}` if nothing is left of it, since the reader
    ///   must learn that all it has seen there is gone.
    /// - A merge that changes nothing that may be read is nothing.
    pub fn cut_value(&self, signal: &Signal) -> Cut {
        let spot = self.spot(signal.path());
        let is_merge = matches!(signal.topic_path().action, Some(Action::Merge | Action::Merged));
        let left = match (signal.value(), is_merge) {
            (Some(patch), true) => return cut(spot, patch, Mode::MergePatch),
            (Some(value), false) => cut(spot, value, Mode::Content),
            (None, _) if spot.access() == Access::Whole => Cut::Whole,
            (None, _) => Cut::Nothing,
        };
        match (left, spot.access()) {
            (Cut::Nothing, Access::Part) => Cut::Part("{}".to_owned()),
            (left, _) => left,
        }
    }

    /// Cuts the `extra` of a signal, whose root is the thing.
    pub fn cut_extra(&self, extra: &str) -> Cut {
        self.cut("/", extra)
    }
}

fn cut(spot: Spot<'_>, text: &str, mode: Mode) -> Cut {
    let node = match (spot, spot.access()) {
        (_, Access::Whole) => return Cut::Whole,
        (Spot::Node(node), Access::Part) => node,
        _ => return Cut::Nothing,
    };
    let mut scanner = Scanner::new(text, usize::MAX);
    let mut knife = Knife { edits: Vec::new(), mode };
    match knife.visit(node, &mut scanner).and_then(|is_kept| scanner.end().map(|()| is_kept)) {
        Ok(true) if knife.edits.is_empty() => Cut::Whole,
        Ok(true) => Cut::Part(apply(&knife.edits, text)),
        Ok(false) | Err(_) => Cut::Nothing,
    }
}

/// A place that is replaced.
struct Edit {
    place: Range<usize>,
    with: &'static str,
}

fn apply(edits: &[Edit], text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for Edit { place, with } in edits {
        out.push_str(text.get(at..place.start).unwrap_or_default());
        out.push_str(with);
        at = place.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// Notes what must go while a text is scanned.
struct Knife {
    /// In the order of the text, and apart.
    edits: Vec<Edit>,
    mode: Mode,
}

/// The members of an object so far.
struct Members {
    /// Where the object begins.
    open: usize,
    /// Where the last one that is kept ends.
    last_kept: Option<usize>,
    count: usize,
}

impl Knife {
    /// Takes the value at which the scanner stands; whether anything of it is kept. If not, it leaves no edits.
    /// Recursion goes no deeper than the view, and what the view does not look into is not looked into.
    fn visit(&mut self, node: &Node, scanner: &mut Scanner<'_>) -> Result<bool, ScanError> {
        if node.members.is_empty() {
            return scanner.value().map(|_| node.is_readable);
        }
        if scanner.peek() != Some(b'{') {
            let leaf = scanner.value()?;
            let is_told_gone = self.mode == Mode::MergePatch && !node.is_readable;
            if is_told_gone && !leaf.is_null() {
                self.edits.push(Edit { place: leaf.place(), with: "null" });
            }
            return Ok(node.is_readable || is_told_gone);
        }
        let before = self.edits.len();
        let mut members = Members { open: scanner.offset(), last_kept: None, count: 0 };
        scanner.object(|scanner, name| self.member(node, name, scanner, &mut members))?;
        if members.last_kept.is_none() {
            self.edits.truncate(before);
        }
        Ok(if members.count == 0 { node.is_readable } else { members.last_kept.is_some() })
    }

    fn member(
        &mut self,
        node: &Node,
        name: RawString<'_>,
        scanner: &mut Scanner<'_>,
        members: &mut Members,
    ) -> Result<(), ScanError> {
        members.count += 1;
        let before = self.edits.len();
        if members.last_kept.is_none() && members.count > 1 {
            // All members so far have gone; if this one stays, it is the first.
            self.edits.push(Edit { place: members.open + 1..name.place().start, with: "" });
        }
        // A name that is no text is none that a rule could have.
        let is_kept = match name.decode().and_then(|name| node.members.get(&*name)) {
            Some(below) => self.visit(below, scanner)?,
            None => scanner.value().map(|_| node.is_readable)?,
        };
        if is_kept {
            members.last_kept = Some(scanner.offset());
            return Ok(());
        }
        self.edits.truncate(before);
        if let Some(kept) = members.last_kept {
            // With the comma before it.
            let end = scanner.offset();
            match self.edits.last_mut().filter(|edit| edit.place.start == kept) {
                Some(edit) => edit.place.end = end,
                None => self.edits.push(Edit { place: kept..end, with: "" }),
            }
        }
        Ok(())
    }
}
