//! What an expression is tried on: signals and things in files.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};

use ditto_json::{Extracted, Extraction, JsonKind, Places, Scanner};
use ditto_outbound::{FeedPolicy, Intake, InternalHeaders, RoutedSignal};
use ditto_protocol::Limits;
use serde_json::value::RawValue;

use super::mistake::Mistake;
use super::output::Stop;
use crate::feed::{Line, open_input, read_line, record};

/// Where a signal or a thing comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'f> {
    file: &'f Path,
    /// From 1, if the file has one signal a line.
    line: Option<usize>,
}

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_stdin(self.file) {
            f.write_str("stdin")?
        } else {
            write!(f, "{}", self.file.display())?
        }
        self.line.iter().try_for_each(|line| write!(f, ":{line}"))
    }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// Stdin ends only once.
pub(super) fn stdin_at_most_once<'f>(files: impl Iterator<Item = &'f PathBuf>) -> Result<(), Stop> {
    match files.filter(|file| is_stdin(file)).count() {
        0 | 1 => Ok(()),
        _ => Err(Stop::Usage("- is stdin, which can be read once; name files for the others".to_owned())),
    }
}

/// Longest line that is kept: a record around a message takes quotes and escapes.
fn max_line(limits: &Limits) -> usize {
    limits.max_bytes.saturating_mul(2)
}

/// Decodes each signal of the files, as a feed that is trusted, within its default bounds. A file holds one signal a line, if its
/// first line is JSON by itself; else it is one signal.
pub(super) fn each_signal(
    files: &[PathBuf],
    mut each: impl FnMut(&Source<'_>, Result<RoutedSignal, Mistake>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let limits = Limits::default();
    let mut intake = Intake::new(FeedPolicy { internal_headers: InternalHeaders::Trust, limits });
    let mut decode = |source: &Source<'_>, line: Line| {
        let record = record(line, limits.max_bytes);
        match intake.decode(record.payload, &record.headers) {
            Ok(signal) => each(source, Ok(signal)),
            Err(refusal) => {
                let reason = refusal.reason().name();
                let message = format!("no signal ({reason}): {}", refusal.detail());
                each(source, Err(Mistake::in_file("signal", source, reason, message)))
            }
        }
    };
    for file in files {
        let unreadable = |error| unreadable(file, &error);
        let mut input = open_input(file).map_err(unreadable)?;
        let mut source = Source { file, line: Some(0) };
        let mut is_empty = true;
        while let Some(line) = read_line(&mut input, max_line(&limits)).map_err(unreadable)? {
            source.line = source.line.map(|line| line + 1);
            let mut line = line;
            if let Line::Bytes(bytes) = &line {
                if bytes.trim_ascii().is_empty() {
                    continue;
                }
                if is_empty && serde_json::from_slice::<&RawValue>(bytes).is_err() {
                    source.line = None;
                    line = rest(bytes, &mut input, max_line(&limits)).map_err(unreadable)?;
                }
            }
            is_empty = false;
            decode(&source, line)?;
        }
        if is_empty {
            source.line = None;
            decode(&source, Line::Bytes(Vec::new()))?;
        }
    }
    Ok(())
}

/// All of a file whose first line is known.
fn rest(first: &[u8], input: &mut impl BufRead, max: usize) -> io::Result<Line> {
    let mut bytes = [first, b"\n"].concat();
    let room = u64::try_from(max.saturating_sub(bytes.len())).unwrap_or(u64::MAX);
    input.by_ref().take(room).read_to_end(&mut bytes)?;
    let beyond = io::copy(input, &mut io::sink())?;
    let beyond = usize::try_from(beyond).unwrap_or(usize::MAX);
    Ok(if beyond > 0 { Line::TooLong(bytes.len().saturating_add(beyond)) } else { Line::Bytes(bytes) })
}

/// Reads a file that is to hold `what`, within the bounds of a message.
pub(super) fn read_text(what: &'static str, file: &Path) -> Result<String, Stop> {
    let max = Limits::default().max_bytes;
    let wrong =
        |message| Stop::from(Mistake::in_file(what, &Source { file, line: None }, "json.invalid", message));
    let unreadable = |error| unreadable(file, &error);
    let mut bytes = Vec::new();
    let room = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    open_input(file).map_err(unreadable)?.take(room).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > max {
        return Err(wrong(format!("a {what} has at most {max} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| wrong(format!("not utf-8: {error}")))
}

/// A thing in a file.
#[derive(Debug)]
pub(super) struct Thing<'f> {
    source: Source<'f>,
    text: String,
}

impl<'f> Thing<'f> {
    /// Reads an object, within the bounds of a message.
    pub(super) fn read(file: &'f Path) -> Result<Self, Stop> {
        let source = Source { file, line: None };
        let text = read_text("thing", file)?;
        let mut scanner = Scanner::new(&text, Limits::default().max_depth);
        scanner.value().and_then(|_| scanner.end()).map_err(|error| wrong(&source, error.to_string()))?;
        if JsonKind::of(text.trim_ascii_start()) != JsonKind::Object {
            return Err(wrong(&source, "a thing is a json object".to_owned()));
        }
        Ok(Self { source, text })
    }

    /// What a filter asks for, as it is written.
    pub(super) fn scan<'e>(
        &'e self,
        extraction: &'e Extraction,
        places: &'e mut Places,
    ) -> Result<Extracted<'e, 'e>, Stop> {
        let found = extraction.scan(&self.text, Limits::default().max_depth, places);
        found.map_err(|error| wrong(&self.source, error.to_string()))
    }

    /// As an enrichment is made of it.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

fn wrong(source: &Source<'_>, message: String) -> Stop {
    Mistake::in_file("thing", source, "json.invalid", message).into()
}

fn unreadable(file: &Path, error: &io::Error) -> Stop {
    Stop::Unavailable(format!("`{}` cannot be read: {error}", Source { file, line: None }))
}
