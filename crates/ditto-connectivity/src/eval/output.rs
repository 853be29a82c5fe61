//! What `eval` prints.

use std::io::{self, Write};

use ditto_protocol::Signal;
use serde_json::{Map, Value};

use super::input::{Source, each_signal};
use super::mistake::Mistake;
use super::shown::plain;
use crate::cli::{OutputFormat, TriedOn};
use crate::exit;
use crate::process::fail;

/// Where answers and mistakes go, and how the command ends.
pub(super) struct Output {
    format: OutputFormat,
    is_first: bool,
    code: u8,
}

/// An answer in both forms.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Lines for people, each ended.
    pub(super) text: String,
    /// Members of an object.
    pub(super) json: Map<String, Value>,
}

/// Why nothing more is tried.
#[derive(Debug)]
pub(super) enum Stop {
    /// The command line asks for what cannot be.
    Usage(String),
    /// A file cannot be read.
    Unavailable(String),
    /// What was given is wrong.
    Wrong(Box<Mistake>),
    /// What was said cannot be written.
    Output(io::Error),
}

impl From<Mistake> for Stop {
    fn from(mistake: Mistake) -> Self {
        Self::Wrong(Box::new(mistake))
    }
}

impl Answer {
    /// Adds a line, and a member that says the same.
    pub(super) fn say(&mut self, line: &str, name: &str, value: impl Into<Value>) {
        self.text.push_str(line);
        self.text.push('\n');
        self.member(name, value);
    }

    /// Adds a member only.
    pub(super) fn member(&mut self, name: &str, value: impl Into<Value>) {
        self.json.insert(name.to_owned(), value.into());
    }

    /// Adds lines that stand below the one before.
    pub(super) fn below(&mut self, lines: &str) {
        for line in lines.lines() {
            self.text.push_str("  ");
            self.text.push_str(line);
            self.text.push('\n');
        }
    }
}

impl Output {
    pub(super) fn new(format: OutputFormat) -> Self {
        Self { format, is_first: true, code: exit::OK }
    }

    /// Tries an expression on each signal: `about` says what it is, `on_signal` what it gives. Without a signal only the former
    /// is said.
    pub(super) fn try_on(
        &mut self,
        on: &TriedOn,
        about: &Answer,
        mut on_signal: impl FnMut(&Signal) -> Answer,
    ) -> Result<(), Stop> {
        if on.signal.is_empty() || self.format == OutputFormat::Text {
            self.answer(about)?;
        }
        each_signal(&on.signal, |source, signal| match signal {
            Ok(signal) => {
                let signal = signal.signal();
                self.answer(&about_signal(source, signal, about, on_signal(signal)))
            }
            Err(mistake) => self.mistake(&mistake),
        })
    }

    /// Prints an answer.
    pub(super) fn answer(&mut self, answer: &Answer) -> Result<(), Stop> {
        let mut stdout = io::stdout().lock();
        let written = match self.format {
            OutputFormat::Text if self.is_first => write!(stdout, "{}", answer.text),
            OutputFormat::Text => write!(stdout, "\n{}", answer.text),
            OutputFormat::Json => serde_json::to_writer(&mut stdout, &answer.json)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(stdout)),
        };
        self.is_first = false;
        written.map_err(Stop::Output)
    }

    /// Prints what is wrong. It is the answer where lines are read by programs.
    pub(super) fn mistake(&mut self, mistake: &Mistake) -> Result<(), Stop> {
        self.code = exit::DATA;
        match self.format {
            OutputFormat::Text => {
                fail(mistake, exit::DATA);
                Ok(())
            }
            OutputFormat::Json => self.answer(&Answer { text: String::new(), json: mistake.json() }),
        }
    }

    /// The exit code.
    pub(super) fn end(mut self, done: Result<(), Stop>) -> u8 {
        let done = match done {
            Err(Stop::Wrong(mistake)) => self.mistake(&mistake),
            done => done,
        };
        match done.and_then(|()| io::stdout().flush().map_err(Stop::Output)) {
            Ok(()) => self.code,
            // Whoever closes it early has seen enough.
            Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => self.code,
            Err(Stop::Output(error)) => fail(&format!("stdout: {error}"), exit::UNAVAILABLE),
            Err(Stop::Usage(why)) => fail(&why, exit::USAGE),
            Err(Stop::Unavailable(why)) => fail(&why, exit::UNAVAILABLE),
            Err(Stop::Wrong(mistake)) => fail(&mistake, exit::DATA),
        }
    }
}

/// For people the expression was said before, for programs each line is whole.
fn about_signal(source: &Source, signal: &Signal, about: &Answer, given: Answer) -> Answer {
    let mut answer = Answer { text: String::new(), json: about.json.clone() };
    answer.say(&format!("{source}: {}", plain(signal.topic())), "signal", source.to_string());
    answer.text.push_str(&given.text);
    answer.json.extend(given.json);
    answer
}
