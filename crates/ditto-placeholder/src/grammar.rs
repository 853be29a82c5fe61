//! The grammar of templates (placeholders.md §1).

use std::str::FromStr;

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_while, take_while1};
use nom::character::complete::char;
use nom::combinator::{cut, map, recognize};
use nom::error::{ContextError, ErrorKind, ParseError, context};
use nom::multi::{many0, separated_list0};
use nom::sequence::{delimited, preceded, terminated};

use crate::ast::{Argument, Call, Part, Pipeline, Placeholder, Template};
use crate::error::{MAX_FUNCTIONS, TemplateError, TemplateErrorKind};

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

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut parts: Vec<Part> = Vec::new();
        let last = LastClosings { double: text.rfind("}}"), single: text.rfind('}') };
        let mut from = 0;
        while let Some(braces) = next_braces(text, from, &last) {
            push_text(&mut parts, text.get(from..braces.start).unwrap_or_default());
            let inner_at = braces.start + OPENING;
            let inner = text.get(inner_at..braces.end).unwrap_or_default();
            parts.push(Part::Pipeline(pipeline_of(inner, inner_at)?));
            from = braces.end + braces.closing;
        }
        push_text(&mut parts, text.get(from..).unwrap_or_default());
        Ok(Self { parts })
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
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

fn pipeline_of(inner: &str, at: usize) -> Result<Pipeline, TemplateError> {
    match terminated(pipeline, ws).parse(inner) {
        Ok((rest, _)) if !rest.is_empty() => Err(TemplateError::new(
            TemplateErrorKind::Expected("`|` and a function, or the closing braces"),
            at + inner.len() - rest.len(),
        )),
        Ok((_, (_, calls))) if calls.len() > MAX_FUNCTIONS => {
            Err(TemplateError::new(TemplateErrorKind::TooManyFunctions, at))
        }
        Ok((_, (head, calls))) => {
            let offset = |part: &str| at + (part.as_ptr() as usize).saturating_sub(inner.as_ptr() as usize);
            let find = |text: &str| {
                let (prefix, name) = text.split_once(':').unwrap_or((text, ""));
                Placeholder::find(prefix, name).ok_or_else(|| TemplateError::unknown(text, offset(text)))
            };
            let head = head.map(&find).transpose()?;
            let calls = calls
                .into_iter()
                .map(|(function, arguments)| {
                    let arguments = arguments
                        .into_iter()
                        .map(|argument| match argument {
                            RawArgument::Quoted(quote, text) => {
                                Ok(Argument::Quoted { quote, text: text.to_owned() })
                            }
                            RawArgument::Placeholder(text) => find(text).map(Argument::Placeholder),
                        })
                        .collect::<Result<_, _>>()?;
                    Ok(Call { function: function.to_owned(), arguments })
                })
                .collect::<Result<_, _>>()?;
            Ok(Pipeline { head, calls })
        }
        Err(nom::Err::Error(raw) | nom::Err::Failure(raw)) => Err(TemplateError::new(
            TemplateErrorKind::Expected(raw.expected.unwrap_or("a placeholder such as thing:id")),
            at + inner.len() - raw.rest.len(),
        )),
        Err(nom::Err::Incomplete(_)) => {
            Err(TemplateError::new(TemplateErrorKind::Expected("a placeholder such as thing:id"), at))
        }
    }
}

enum RawArgument<'i> {
    Quoted(char, &'i str),
    Placeholder(&'i str),
}

type RawCall<'i> = (&'i str, Vec<RawArgument<'i>>);

/// expr = first { "|" function } ; first = placeholder | function
fn pipeline(i: &str) -> PResult<'_, (Option<&str>, Vec<RawCall<'_>>)> {
    let later = || many0(preceded((ws, char('|'), ws), context("a function such as fn:lower()", cut(call))));
    alt((
        map((preceded(ws, call), later()), |(first, mut calls)| {
            calls.insert(0, first);
            (None, calls)
        }),
        map((preceded(ws, context("a placeholder such as thing:id", name)), later()), |(head, calls)| {
            (Some(head), calls)
        }),
    ))
    .parse(i)
}

/// placeholder = prefix ":" name ; the name is everything up to the next bar, trimmed
fn name(i: &str) -> PResult<'_, &str> {
    let prefix = take_while1(|c: char| c.is_ascii_lowercase() || c == '-');
    map(recognize((prefix, char(':'), is_not("|'\""))), str::trim_ascii_end).parse(i)
}

/// function = "fn:" fname "(" args ")"
fn call(i: &str) -> PResult<'_, RawCall<'_>> {
    let fname = take_while1(|c: char| c.is_ascii_alphanumeric() || c == '-');
    let arguments = delimited(
        (char('('), ws),
        separated_list0((ws, char(','), ws), argument),
        (ws, context("`)`", char(')'))),
    );
    preceded(tag("fn:"), (fname, arguments)).parse(i)
}

/// arg = sq | dq | placeholder without blanks, commas and parentheses
fn argument(i: &str) -> PResult<'_, RawArgument<'_>> {
    let placeholder = recognize((
        take_while1(|c: char| c.is_ascii_lowercase() || c == '-'),
        char(':'),
        take_while1(|c: char| !c.is_ascii_whitespace() && !matches!(c, ',' | ')' | '|')),
    ));
    alt((
        map(|i| quoted(i, '\''), |text| RawArgument::Quoted('\'', text)),
        map(|i| quoted(i, '"'), |text| RawArgument::Quoted('"', text)),
        map(placeholder, RawArgument::Placeholder),
    ))
    .parse(i)
}

/// sq = "'" { "\'" | any except "'" } "'" ; the escape keeps its backslash
fn quoted(i: &str, quote: char) -> PResult<'_, &str> {
    let (body, _) = char(quote).parse(i)?;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if c == quote && !escaped => {
                let (text, rest) = body.split_at(at);
                return Ok((rest.get(1..).unwrap_or_default(), text));
            }
            _ => escaped = c == '\\' && !escaped,
        }
    }
    Err(nom::Err::Failure(Raw { rest: i, expected: Some("a closing quote") }))
}

/// ASCII white space only.
fn ws(i: &str) -> PResult<'_, &str> {
    take_while(|c: char| c.is_ascii_whitespace()).parse(i)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let parsed = match text.parse::<Template>() {
            Ok(template) => template.to_string(),
            Err(error) => error.to_string(),
        };
        assert_eq!(parsed, expected, "{text}");
    }

    #[test]
    fn canonical_form() {
        check("a/{{thing:id}}", "a/{{ thing:id }}");
        check("{{ header:x y|fn:default( 'a' ) }}z", "{{ header:x y | fn:default('a') }}z");
        check("{{fn:default(thing:name,\"b\")}}", "{{ fn:default(thing:name, \"b\") }}");
        check("${thing:id}-{x}-{{y", "{{ thing:id }}-{x}-{{y");
        check("{{ fn:default('it\\'s') }}", "{{ fn:default('it\\'s') }}");
    }

    #[test]
    fn braces_beside_text_that_is_like_them() {
        check("{${thing:id}", "{${ thing:id }");
        check("$${thing:id}${thing:id}", "$${ thing:id }{{ thing:id }}");
        check("{{x${thing:id}/${thing:name}", "{{x${ thing:id }/${ thing:name }");
    }

    #[test]
    fn what_stays_open_costs_no_more() {
        let text = "{{${thing:id}".repeat(1 << 16);
        let template: Template = text.parse().unwrap();
        assert_eq!(template.parts().len(), 1 << 17);
        assert_eq!("{".repeat(1 << 20).parse::<Template>().unwrap().parts().len(), 1);
    }

    #[test]
    fn mistakes_have_a_place_and_a_remedy() {
        check(
            "a/{{ thing:ID }}",
            "invalid placeholder at byte 5: there is no placeholder `thing:ID`; did you mean `thing:id`?",
        );
        check("{{ }}", "invalid placeholder at byte 3: expected a placeholder such as thing:id");
        check(
            "{{ thing:id | lower() }}",
            "invalid placeholder at byte 14: expected a function such as fn:lower()",
        );
        check("{{ fn:default('x) }}", "invalid placeholder at byte 14: expected a closing quote");
        check(
            &format!("{{{{ thing:id{} }}}}", " | fn:trim()".repeat(11)),
            "invalid placeholder at byte 2: more than 10 functions in one placeholder",
        );
    }

    proptest! {
        #[test]
        fn never_panics_and_prints_what_parses(text in "[a-z:{}|'\"() $,-]*|\\PC*|(\\{\\{ ?(thing:id|header:[a-z]|fn:x\\('a',thing:id\\)) ?(\\| fn:y\\(\\) ?)?\\}\\}[a-z/]?)*") {
            if let Ok(template) = text.parse::<Template>() {
                prop_assert_eq!(template.to_string().parse::<Template>(), Ok(template));
            }
        }
    }
}
