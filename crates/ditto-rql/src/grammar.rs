//! The grammar of filters (rql.md §1).
//!
//! By hand: the reference points at the furthest place that any alternative has reached, also one that another alternative
//! then replaced (`5.` is a number, and then the digit is missing). A combinator forgets that when an alternative succeeds.

use crate::choices::Choices;
use crate::error::{FilterError, FilterErrorKind};
use crate::expression::{Comparison, Condition, Expression, Predicate};
use crate::literal::{Literal, Number};
use crate::pattern::Pattern;
use crate::property::{Property, nearest};
use crate::time::Time;

/// Levels of operators; the reference has no bound and uses its stack.
pub(crate) const MAX_DEPTH: usize = 512;
/// Bytes of a filter: as much as the largest connection that the reference takes.
pub(crate) const MAX_LENGTH: usize = 256 * 1024;

/// Parses a whole text.
///
/// filter = ws query EOF
pub(crate) fn parse(text: &str) -> Result<Expression, FilterError> {
    if text.len() > MAX_LENGTH {
        let at = (0..=MAX_LENGTH).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
        return Err(FilterError::new(FilterErrorKind::TooLong, text, at));
    }
    let mut parser = Parser { text, at: 0, furthest: 0, expected: Vec::new(), query_at: 0, refused: None };
    parser.ws();
    let parsed = parser.query(1).and_then(|query| {
        if parser.at < text.len() { Err(parser.fail(parser.at, "the end of the filter")) } else { Ok(query) }
    });
    match (parsed, parser.refused.take()) {
        (Ok(Some(expression)), None) => Ok(expression),
        (Ok(_) | Err(Stop::Refused), Some((kind, at))) => Err(FilterError::new(kind, text, at)),
        (Ok(_) | Err(_), _) => Err(parser.syntax_error()),
    }
}

/// Why nothing more is parsed.
enum Stop {
    /// What is expected, and where, is in the parser.
    Syntax,
    /// What is wrong, and where, is in the parser.
    Refused,
}

/// What was parsed. `None` where it has the right form, but was refused: a mistake of form further on comes first, as in the
/// reference.
type Parsed<T> = Result<Option<T>, Stop>;

struct Parser<'t> {
    text: &'t str,
    at: usize,
    /// The furthest place that any alternative has reached, and what would have gone on from there.
    furthest: usize,
    expected: Vec<&'static str>,
    /// Where an operator was looked for last.
    query_at: usize,
    /// What has the right form and is wrong all the same: the first such.
    refused: Option<(FilterErrorKind, usize)>,
}

#[derive(Clone, Copy)]
enum Operator {
    Compare(Comparison),
    Like { ignores_case: bool },
    In,
    And,
    Or,
    Not,
    Exists,
    Empty,
}

/// In the order in which they are tried; none is the beginning of a later one.
const OPERATORS: [(&str, Operator); 14] = [
    ("eq", Operator::Compare(Comparison::Eq)),
    ("ne", Operator::Compare(Comparison::Ne)),
    ("gt", Operator::Compare(Comparison::Gt)),
    ("ge", Operator::Compare(Comparison::Ge)),
    ("lt", Operator::Compare(Comparison::Lt)),
    ("le", Operator::Compare(Comparison::Le)),
    ("like", Operator::Like { ignores_case: false }),
    ("ilike", Operator::Like { ignores_case: true }),
    ("in", Operator::In),
    ("and", Operator::And),
    ("or", Operator::Or),
    ("not", Operator::Not),
    ("exists", Operator::Exists),
    ("empty", Operator::Empty),
];

const AN_OPERATOR: &str =
    "an operator (eq, ne, gt, ge, lt, le, like, ilike, in, and, or, not, exists, empty)";
const A_LITERAL: &str = "a literal (a number, a quoted text, true, false, null, time:…)";
const A_DIGIT: &str = "a digit";
const A_HEX_DIGIT: &str = "a hexadecimal digit";
const AN_ESCAPE: &str = "an escape (\\\\, the quote, \\/, \\b, \\f, \\n, \\r, \\t, \\uXXXX)";

impl Parser<'_> {
    /// query = compare | in | multi | not | exists | empty
    fn query(&mut self, level: usize) -> Parsed<Expression> {
        let start = self.at;
        let operator = self.operator()?;
        self.expect("(", "`(`")?;
        if level > MAX_DEPTH {
            return Err(self.refuse(FilterErrorKind::TooDeep, start));
        }
        let query = match operator {
            Operator::And => self.queries(level)?.map(Expression::And),
            Operator::Or => self.queries(level)?.map(Expression::Or),
            Operator::Not => self.query(level + 1)?.map(|inner| Expression::Not(Box::new(inner))),
            Operator::Exists => self.predicate(false, |_| Ok(Some(Condition::Exists)))?,
            Operator::Empty => self.predicate(false, |_| Ok(Some(Condition::Empty)))?,
            Operator::In => self.predicate(true, Self::literals)?,
            Operator::Compare(comparison) => self.predicate(true, |parser| {
                parser.expect(",", "`,`")?;
                Ok(parser.literal()?.map(|literal| Condition::Compare(comparison, literal)))
            })?,
            Operator::Like { ignores_case } => self.predicate(true, |parser| parser.pattern(ignores_case))?,
        };
        self.expect(")", "`)`")?;
        Ok(query)
    }

    fn operator(&mut self) -> Result<Operator, Stop> {
        self.query_at = self.at;
        let found = OPERATORS.iter().find(|(name, _)| self.word(name, AN_OPERATOR));
        found.map(|(_, operator)| *operator).ok_or(Stop::Syntax)
    }

    /// multi: query {"," ws query}
    fn queries(&mut self, level: usize) -> Parsed<Vec<Expression>> {
        let mut queries = Some(Vec::new());
        loop {
            let query = self.query(level + 1)?;
            queries = queries.zip(query).map(|(mut queries, query)| {
                queries.push(query);
                queries
            });
            if !self.word(",", "`,`") {
                return Ok(queries);
            }
            self.ws();
        }
    }

    /// property, and what is said of it
    fn predicate(
        &mut self,
        needs_value: bool,
        condition: impl FnOnce(&mut Self) -> Parsed<Condition>,
    ) -> Parsed<Expression> {
        let property = self.property(needs_value)?;
        let condition = condition(self)?;
        Ok(property
            .zip(condition)
            .map(|(property, condition)| Expression::Is(Predicate { property, condition })))
    }

    /// property = { pchar | "\" escape }
    fn property(&mut self, needs_value: bool) -> Parsed<Property> {
        let start = self.at;
        let mut name = String::new();
        self.name(&mut name)?;
        match Property::parse(&name, needs_value) {
            Ok(property) => Ok(Some(property)),
            Err(kind) => Ok(self.note(kind, start)),
        }
    }

    /// The characters of a property or of a placeholder, their escapes resolved.
    fn name(&mut self, out: &mut String) -> Result<(), Stop> {
        self.characters('"', |c| matches!(c, ',' | ')' | '"'), out)
    }

    /// Takes characters and escapes until one of those that end them, which stays, or the end.
    fn characters(
        &mut self,
        quote: char,
        is_end: impl Fn(char) -> bool,
        out: &mut String,
    ) -> Result<(), Stop> {
        while let Some(c) = self.next() {
            if is_end(c) {
                break;
            }
            self.at += c.len_utf8();
            if c == '\\' {
                self.escape(quote, out)?;
            } else {
                out.push(c);
            }
        }
        Ok(())
    }

    /// escape = quote | "\" | "/" | "b" | "f" | "n" | "r" | "t" | "u" 4 * hex
    fn escape(&mut self, quote: char, out: &mut String) -> Result<(), Stop> {
        let start = self.at - 1;
        let escaped = match self.next() {
            Some(c) if c == quote || c == '\\' || c == '/' => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                self.at += 1;
                out.push(self.code_point(start)?);
                return Ok(());
            }
            _ => return Err(self.fail(self.at, AN_ESCAPE)),
        };
        self.at += 1;
        out.push(escaped);
        Ok(())
    }

    /// What stands behind `\u`: four digits, or eight in two escapes, which are one character.
    fn code_point(&mut self, start: usize) -> Result<char, Stop> {
        let first = self.unit()?;
        let mut units = vec![first];
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
            self.at += 2;
            units.push(self.unit()?);
        }
        match char::decode_utf16(units).collect::<Result<Vec<_>, _>>().as_deref() {
            Ok([c]) => Ok(*c),
            _ => Err(self.refuse(FilterErrorKind::HalfSurrogate, start)),
        }
    }

    fn unit(&mut self) -> Result<u16, Stop> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(digit) = self.next().and_then(|c| c.to_digit(16)) else {
                return Err(self.fail(self.at, A_HEX_DIGIT));
            };
            unit = unit << 4 | u16::try_from(digit).unwrap_or_default();
            self.at += 1;
        }
        Ok(unit)
    }

    /// in: {"," literal}, at least one
    fn literals(&mut self) -> Parsed<Condition> {
        self.expect(",", "`,`")?;
        let mut literals = Some(Vec::new());
        loop {
            let literal = self.literal()?;
            literals = literals.zip(literal).map(|(mut literals, literal)| {
                literals.push(literal);
                literals
            });
            if !self.word(",", "`,`") {
                return Ok(literals.map(|literals| Condition::In(Choices::new(literals))));
            }
        }
    }

    /// like, ilike: "," literal, which must be a text
    fn pattern(&mut self, ignores_case: bool) -> Parsed<Condition> {
        self.expect(",", "`,`")?;
        let start = self.at;
        Ok(match self.literal()? {
            None => None,
            Some(Literal::String(text)) => match Pattern::new(&text, ignores_case) {
                Some(pattern) => Some(Condition::Like(pattern)),
                None => self.note(FilterErrorKind::PatternTooLong, start),
            },
            Some(other) => {
                let operator = if ignores_case { "ilike" } else { "like" };
                self.note(FilterErrorKind::LikeNeedsString { operator, literal: other.to_string() }, start)
            }
        })
    }

    /// literal = ( double | long | dstring | sstring | placeholder | "true" | "false" | "null" ) ws
    fn literal(&mut self) -> Parsed<Literal> {
        let literal = match self.next() {
            Some(quote @ ('"' | '\'')) => Literal::String(self.string(quote)?),
            Some('+' | '-' | '0'..='9') => Literal::Number(self.number()?),
            _ if self.word("time:", A_LITERAL) => Literal::Time(self.time()?),
            _ if self.word("true", A_LITERAL) => Literal::Bool(true),
            _ if self.word("false", A_LITERAL) => Literal::Bool(false),
            _ if self.word("null", A_LITERAL) => Literal::Null,
            _ => return Err(Stop::Syntax),
        };
        self.ws();
        Ok(Some(literal))
    }

    /// dstring = '"' { any except '"' '\' | "\" escape } '"' ; sstring: the same with "'"
    fn string(&mut self, quote: char) -> Result<String, Stop> {
        self.at += 1;
        let mut text = String::new();
        self.characters(quote, |c| c == quote, &mut text)?;
        if self.next().is_none() {
            return Err(self.fail(self.at, if quote == '"' { "a closing `\"`" } else { "a closing `'`" }));
        }
        self.at += 1;
        Ok(text)
    }

    /// double = sign? int "." digit {digit} ; long = the same without the fraction, not beginning with "-0"
    fn number(&mut self) -> Result<Number, Stop> {
        let start = self.at;
        let sign = usize::from(self.rest().starts_with(['+', '-']));
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let unsigned = self.rest().get(sign..).unwrap_or_default();
        // No leading zeros: a zero ends an integer.
        let whole = if unsigned.starts_with('0') { 1 } else { digits(unsigned) };
        if whole == 0 {
            return Err(self.fail(start + sign, A_DIGIT));
        }
        let end = start + sign + whole;
        let behind = self.text.get(end..).unwrap_or_default();
        if let Some(fraction) = behind.strip_prefix('.') {
            match digits(fraction) {
                0 => self.miss(end + 1, A_DIGIT),
                digits => {
                    self.at = end + 1 + digits;
                    return Ok(Number::new(self.text.get(start..self.at).unwrap_or_default()));
                }
            }
        } else {
            self.miss(end, "a fraction");
        }
        let text = self.text.get(start..end).unwrap_or_default();
        if text.starts_with("-0") {
            return Err(Stop::Syntax);
        }
        if text.parse::<i64>().is_err() {
            return Err(self.refuse(FilterErrorKind::NumberTooLarge(text.to_owned()), start));
        }
        self.at = end;
        Ok(Number::new(text))
    }

    /// placeholder = "time:" { pchar | "\" escape } ; escapes are not resolved
    fn time(&mut self) -> Result<Time, Stop> {
        let start = self.at;
        self.name(&mut String::new())?;
        match self.text.get(start..self.at).unwrap_or_default() {
            "" => Err(self.refuse(FilterErrorKind::EmptyTime, start - "time:".len())),
            name => Ok(Time::new(name)),
        }
    }

    /// ws = { " " | "\n" | "\r" | "\t" | "\f" }
    fn ws(&mut self) {
        while let Some(' ' | '\n' | '\r' | '\t' | '\u{c}') = self.next() {
            self.at += 1;
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes an ASCII word; otherwise stays, and has reached the first character that differs.
    fn word(&mut self, word: &str, expected: &'static str) -> bool {
        let same = self.rest().bytes().zip(word.bytes()).take_while(|(is, wanted)| is == wanted).count();
        if same == word.len() {
            self.at += same;
            return true;
        }
        self.miss(self.at + same, expected);
        false
    }

    fn expect(&mut self, word: &str, expected: &'static str) -> Result<(), Stop> {
        if self.word(word, expected) { Ok(()) } else { Err(Stop::Syntax) }
    }

    /// An alternative has reached `at`, and would have gone on with `expected`.
    fn miss(&mut self, at: usize, expected: &'static str) {
        if at > self.furthest {
            self.furthest = at;
            self.expected.clear();
        }
        if at == self.furthest && !self.expected.contains(&expected) {
            self.expected.push(expected);
        }
    }

    /// The same where there is no other alternative.
    fn fail(&mut self, at: usize, expected: &'static str) -> Stop {
        self.miss(at, expected);
        Stop::Syntax
    }

    /// Refuses something of the right form; what follows is still looked at.
    fn note<T>(&mut self, kind: FilterErrorKind, at: usize) -> Option<T> {
        self.refused.get_or_insert((kind, at));
        None
    }

    /// Refuses something; nothing that follows is looked at, as in the reference.
    fn refuse(&mut self, kind: FilterErrorKind, at: usize) -> Stop {
        self.refused = Some((kind, at));
        Stop::Refused
    }

    fn syntax_error(self) -> FilterError {
        let (at, text) = (self.furthest, self.text);
        let word = text.get(self.query_at..).unwrap_or_default();
        let end = word.bytes().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(word.len());
        let word = word.get(..end).unwrap_or_default();
        let is_operator = OPERATORS.iter().any(|(name, _)| *name == word);
        let kind = if !word.is_empty() && !is_operator && (self.query_at..=self.query_at + end).contains(&at)
        {
            FilterErrorKind::UnknownOperator { name: word.to_owned(), nearest: nearest_operator(word) }
        } else {
            let found = text.get(at..).and_then(|rest| rest.chars().next());
            FilterErrorKind::Expected { expected: self.expected, found }
        };
        FilterError::new(kind, text, at)
    }
}

/// Longest word that is compared with the operators, in bytes.
const MAX_COMPARED: usize = 16;

fn nearest_operator(word: &str) -> Option<&'static str> {
    let word = Some(word).filter(|word| word.len() <= MAX_COMPARED)?.to_ascii_lowercase();
    let names = || OPERATORS.iter().map(|(name, _)| *name);
    nearest(&word, names()).or_else(|| names().find(|name| word.starts_with(name) || name.starts_with(&word)))
}

#[cfg(test)]
mod tests;
