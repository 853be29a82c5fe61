//! The grammar of templates (placeholders.md §1).

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{is_not, take_till, take_while, take_while1};
use nom::character::complete::char;
use nom::combinator::{map, opt, recognize};
use nom::error::{ContextError, ErrorKind, ParseError, context};
use nom::multi::{many1_count, separated_list1};
use nom::sequence::delimited;

use crate::ast::{Argument, Call, Part, Pipeline, Stage};
use crate::error::{TemplateError, TemplateErrorKind};
use crate::function::FunctionName;
use crate::placeholder::{Placeholder, Scope};

/// Functions that one pipeline may have behind its first stage (placeholders.md §1).
pub(crate) const MAX_FUNCTIONS: usize = 10;

/// Functions that may stand in each other's arguments.
pub(crate) const MAX_NESTING: usize = 4;

/// Longest template, in bytes.
pub(crate) const MAX_LENGTH: usize = 1 << 20;

/// Where parsing stopped and what should have stood there.
#[derive(Debug, PartialEq)]
struct Raw<'i> {
    rest: &'i str,
    expected: Option<&'static str>,
}

impl<'i> ParseError<&'i str> for Raw<'i> {
    fn from_error_kind(rest: &'i str, _: ErrorKind) -> Self {
        Self { rest, expected: None }
    }

    fn append(_: &'i str, _: ErrorKind, other: Self) -> Self {
        other
    }

    fn or(self, other: Self) -> Self {
        if self.rest.len() < other.rest.len() { self } else { other }
    }
}

impl<'i> ContextError<&'i str> for Raw<'i> {
    fn add_context(rest: &'i str, expected: &'static str, mut other: Self) -> Self {
        if other.expected.is_none() {
            other = Self { rest, expected: Some(expected) };
        }
        other
    }
}

type PResult<'i, T> = nom::IResult<&'i str, T, Raw<'i>>;

/// template = { text | braces | legacy } ; each part with its place
pub(crate) fn parts(text: &str, scope: Scope) -> Result<Vec<(Part, usize)>, TemplateError> {
    if text.len() > MAX_LENGTH {
        return Err(TemplateError::new(TemplateErrorKind::TooLong, MAX_LENGTH));
    }
    let reader = Reader { text, scope };
    let mut parts: Vec<(Part, usize)> = Vec::new();
    let last = LastClosings { double: text.rfind("}}"), single: text.rfind('}') };
    let mut from = 0;
    while let Some(braces) = next_braces(text, from, &last) {
        push_text(&mut parts, text.get(from..braces.start).unwrap_or_default(), from);
        let inner = text.get(braces.start + OPENING..braces.end).unwrap_or_default();
        parts.push((Part::Pipeline(reader.pipeline(inner)?), reader.offset(trim(inner))));
        from = braces.end + braces.closing;
    }
    push_text(&mut parts, text.get(from..).unwrap_or_default(), from);
    Ok(parts)
}

fn push_text(parts: &mut Vec<(Part, usize)>, text: &str, at: usize) {
    if !text.is_empty() {
        parts.push((Part::Text(text.to_owned()), at));
    }
}

/// Length of `{{` and of `${`.
const OPENING: usize = 2;

/// Byte offsets of braces in a text.
struct Braces {
    start: usize,
    /// Where the closing ones start, and how long they are.
    end: usize,
    closing: usize,
}

/// Where the last closing braces of each kind start. Whatever opens behind them stays open, which need not be searched
/// for again and again.
struct LastClosings {
    double: Option<usize>,
    single: Option<usize>,
}

/// braces = "{{" expr "}}" ; legacy = "${" expr "}"
/// What is opened and never closed is plain text. A `}` belongs to the expression unless another one follows.
fn next_braces(text: &str, from: usize, last: &LastClosings) -> Option<Braces> {
    let mut pairs = text.as_bytes().windows(OPENING).enumerate().skip(from);
    pairs.find_map(|(start, pair)| {
        let (last, closing) = match pair {
            b"{{" => (last.double, "}}"),
            b"${" => (last.single, "}"),
            _ => return None,
        };
        let inner_at = start + OPENING;
        last.filter(|last| *last >= inner_at)?;
        let end = inner_at + text.get(inner_at..)?.find(closing)?;
        Some(Braces { start, end, closing: closing.len() })
    })
}

/// A template being read.
struct Reader<'t> {
    text: &'t str,
    scope: Scope,
}

impl<'t> Reader<'t> {
    /// Byte offset of a part of the text.
    fn offset(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }

    /// expr = stage { "|" stage } ; each stage trimmed
    fn pipeline(&self, expression: &'t str) -> Result<Pipeline, TemplateError> {
        let stages = self.stages(expression)?;
        if stages.len() > MAX_FUNCTIONS + 1 {
            return Err(TemplateError::new(TemplateErrorKind::TooManyFunctions, self.offset(expression)));
        }
        let mut stages = stages.into_iter().map(trim).peekable();
        let head = match stages.next_if(|first| !first.starts_with("fn:")) {
            Some(first) => Some(self.placeholder(first)?),
            None => None,
        };
        let stages = stages.map(|stage| self.stage(stage)).collect::<Result<_, _>>()?;
        Ok(Pipeline { head, stages })
    }

    fn stages(&self, expression: &'t str) -> Result<Vec<&'t str>, TemplateError> {
        let refused = |rest: &str, expected| {
            Err(TemplateError::new(TemplateErrorKind::Expected(expected), self.offset(rest)))
        };
        let first = expression.trim_start_matches(is_blank);
        match separated_list1(char('|'), context("a placeholder such as thing:id", stage)).parse(first) {
            Ok(("", stages)) => Ok(stages),
            Ok((rest, _)) => refused(rest.get(1..).unwrap_or(rest), "a function such as fn:lower()"),
            Err(nom::Err::Error(raw) | nom::Err::Failure(raw)) => {
                refused(raw.rest, raw.expected.unwrap_or("a placeholder such as thing:id"))
            }
            Err(nom::Err::Incomplete(_)) => refused(first, "a placeholder such as thing:id"),
        }
    }

    /// placeholder = prefix ":" name ; the prefix ends at the first colon and is trimmed, the name is not
    fn placeholder(&self, text: &str) -> Result<Placeholder, TemplateError> {
        let unknown = || TemplateError::unknown(text, self.offset(text));
        let (prefix, _) = text.split_once(':').ok_or_else(unknown)?;
        let prefix = trim(prefix);
        // As in the reference, what was trimmed counts into the name, so that `header :x` asks for a header `:x`.
        let name = text.get(prefix.len() + 1..).unwrap_or_default();
        let placeholder = Placeholder::find(prefix, name).ok_or_else(unknown)?;
        if placeholder.is_available(self.scope) {
            Ok(placeholder)
        } else {
            Err(TemplateError::unavailable(&placeholder, self.scope, self.offset(text)))
        }
    }

    /// function = "fn:" fname "(" args ")"
    fn stage(&self, text: &'t str) -> Result<Stage, TemplateError> {
        match self.call(text, 0) {
            Err(error) if matches!(error.kind(), TemplateErrorKind::UnknownFunction { .. }) => {
                match text.split_once('(').and_then(|(name, _)| FunctionName::find(name)) {
                    Some(_) => Ok(Stage::Unprefixed(text.to_owned())),
                    None => Err(error),
                }
            }
            call => call.map(Stage::Call),
        }
    }

    fn call(&self, text: &'t str, depth: usize) -> Result<Call, TemplateError> {
        if depth > MAX_NESTING {
            return Err(TemplateError::new(TemplateErrorKind::TooDeep, self.offset(text)));
        }
        let unknown = || TemplateError::unknown_function(text, self.offset(text));
        let name = text.strip_prefix("fn:").ok_or_else(unknown)?;
        let (name, arguments) =
            name.split_at_checked(name.find('(').ok_or_else(unknown)?).ok_or_else(unknown)?;
        let function = FunctionName::find(name).ok_or_else(unknown)?;
        let signature = function.signature();
        let misfit = || TemplateError::signature(function, self.offset(text));
        let body = arguments.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or_else(misfit)?;
        let raw = arguments_of(body).ok_or_else(misfit)?;
        let fits = (signature.required..=signature.required + signature.optional).contains(&raw.len())
            && (signature.placeholders || raw.iter().all(|raw| matches!(raw, RawArgument::Quoted(..))));
        if !fits {
            return Err(misfit());
        }
        let arguments = raw.into_iter().map(|raw| self.argument(raw, depth)).collect::<Result<_, _>>()?;
        Ok(Call { function, arguments })
    }

    fn argument(&self, raw: RawArgument<'t>, depth: usize) -> Result<Argument, TemplateError> {
        match raw {
            RawArgument::Quoted(quote, text) => Ok(Argument::Quoted { quote, text: text.to_owned() }),
            RawArgument::Other(text) => {
                // A blank may have cut a quoted text in two.
                self.stages(text)?;
                if text.starts_with("fn:") {
                    self.call(text, depth + 1).map(|call| Argument::Call(Box::new(call)))
                } else {
                    self.placeholder(text).map(Argument::Placeholder)
                }
            }
        }
    }
}

enum RawArgument<'i> {
    Quoted(char, &'i str),
    Other(&'i str),
}

/// stage = 1*( char except | ' "  |  sq  |  dq )
fn stage(i: &str) -> PResult<'_, &str> {
    recognize(many1_count(alt((is_not("|'\""), single_quoted, double_quoted)))).parse(i)
}

/// args = ws | arg { "," arg } ; `None` if it is none
fn arguments_of(body: &str) -> Option<Vec<RawArgument<'_>>> {
    if body.trim_start_matches(is_blank).is_empty() {
        return Some(Vec::new());
    }
    match separated_list1(char(','), argument).parse(body) {
        Ok(("", arguments)) => Some(arguments),
        _ => None,
    }
}

/// arg = ws ( sq | dq ) ws | ws word ":" 1*( char except blank , ) [ char except , ) ]
/// The reference drops what follows a blank behind a placeholder.
fn argument(i: &str) -> PResult<'_, RawArgument<'_>> {
    let word = take_while1(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let value = take_while1(|c: char| !is_blank(c) && c != ',');
    let dropped = opt((take_while1(is_blank), take_till(|c| matches!(c, ',' | ')'))));
    alt((
        map(delimited(ws, single_quoted, ws), |text| RawArgument::Quoted('\'', text)),
        map(delimited(ws, double_quoted, ws), |text| RawArgument::Quoted('"', text)),
        map((ws, recognize((word, char(':'), value)), dropped), |(_, text, _)| RawArgument::Other(text)),
    ))
    .parse(i)
}

fn single_quoted(i: &str) -> PResult<'_, &str> {
    quoted(i, '\'', "a closing quote `'`")
}

fn double_quoted(i: &str) -> PResult<'_, &str> {
    quoted(i, '"', "a closing quote `\"`")
}

/// sq = "'" { "\'" | any except "'" } "'" ; dq likewise. A backslash escapes the quote behind it, whatever is before it, and
/// stays.
fn quoted<'i>(i: &'i str, quote: char, expected: &'static str) -> PResult<'i, &'i str> {
    let (body, _) = char(quote).parse(i)?;
    let mut from = 0;
    while let Some(found) = body.get(from..).and_then(|rest| rest.find(quote)) {
        let at = from + found;
        let (text, rest) = body.split_at(at);
        if !text.ends_with('\\') {
            return Ok((rest.get(1..).unwrap_or_default(), text));
        }
        from = at + 1;
    }
    Err(nom::Err::Failure(Raw { rest: i, expected: Some(expected) }))
}

fn ws(i: &str) -> PResult<'_, &str> {
    take_while(is_blank).parse(i)
}

/// What counts as white space around expressions and arguments: that of ASCII only.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

/// Stages are trimmed as Java trims: control characters too.
fn trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

#[cfg(test)]
mod tests;
