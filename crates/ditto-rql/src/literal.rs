//! Literals: what a property is compared with.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use crate::fields::Scalar;
use crate::quote::write_escaped;
use crate::time::Time;

/// What a property is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Literal {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number as it was written.
    Number(Number),
    /// A text, its escapes resolved.
    String(String),
    /// `time:now-1h`
    Time(Time),
}

/// A number, which keeps every digit that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    text: String,
}

impl Literal {
    /// What it is at that time. A `time:` literal that is none is null.
    pub(crate) fn at<'l>(&'l self, now: SystemTime, buffer: &'l mut String) -> Scalar<'l> {
        match self {
            Self::Null => Scalar::Null,
            Self::Bool(value) => Scalar::Bool(*value),
            Self::Number(number) => Scalar::Number(&number.text),
            Self::String(text) => Scalar::String(text),
            Self::Time(time) => match time.at(now) {
                Some(text) => {
                    *buffer = text;
                    Scalar::String(buffer)
                }
                None => Scalar::Null,
            },
        }
    }

    /// Whether it is null at any time.
    pub(crate) fn is_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Time(time) => !time.is_supported(),
            Self::Bool(_) | Self::Number(_) | Self::String(_) => false,
        }
    }
}

impl Number {
    /// A number of the grammar; a plus says nothing.
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.strip_prefix('+').unwrap_or(text).to_owned() }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The text of a number where it is compared with a text: that of Java, in which `1e3` is `1000.0` and `1e9` is `1.0E9`.
pub(crate) fn number_text(number: &str) -> Cow<'_, str> {
    if !number.contains(['.', 'e', 'E']) {
        return Cow::Borrowed(if number == "-0" { "0" } else { number });
    }
    match number.parse::<f64>() {
        Ok(value) if value == 0.0 || (1e-3..1e7).contains(&value.abs()) => Cow::Owned(format!("{value:?}")),
        Ok(value) if value.is_finite() => {
            let text = format!("{value:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let fraction = if digits.contains('.') { "" } else { ".0" };
            Cow::Owned(format!("{digits}{fraction}E{exponent}"))
        }
        _ => Cow::Borrowed(number),
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(number) => f.write_str(&number.text),
            Self::String(text) => {
                f.write_str("\"")?;
                write_escaped(f, text, false)?;
                f.write_str("\"")
            }
            Self::Time(time) => time.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::number_text;

    #[test]
    fn numbers_as_java_writes_them() {
        for (number, text) in [
            ("5", "5"),
            ("-0", "0"),
            ("123456789012345678901", "123456789012345678901"),
            ("5.0", "5.0"),
            ("2.50", "2.5"),
            ("-0.0", "-0.0"),
            ("1e3", "1000.0"),
            ("1000000.0", "1000000.0"),
            ("1e7", "1.0E7"),
            ("12345678.5", "1.23456785E7"),
            ("0.001", "0.001"),
            ("0.0001", "1.0E-4"),
            ("1e999", "1e999"),
        ] {
            assert_eq!(number_text(number), text, "{number}");
        }
    }
}
