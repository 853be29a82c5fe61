//! The literals of `in`, found without comparing each: filters list thousands of things.

use std::cmp::Ordering;
use std::fmt;
use std::time::SystemTime;

use crate::compare::{is_equal, text};
use crate::decimal::Decimal;
use crate::fields::Scalar;
use crate::literal::Literal;

/// The literals of `in`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    literals: Vec<Literal>,
    /// What equals a text or a boolean by its text; sorted.
    texts: Vec<String>,
    /// What equals a number, and a text that is one; sorted by value.
    numbers: Vec<String>,
    /// Texts that are numbers, and equal a number; sorted by value.
    numerals: Vec<String>,
    /// Whether there are `time:` literals, which are not known yet.
    has_times: bool,
}

impl Choices {
    pub(crate) fn new(literals: Vec<Literal>) -> Self {
        let (mut texts, mut numbers, mut numerals) = (Vec::new(), Vec::new(), Vec::new());
        let mut has_times = false;
        for literal in &literals {
            match literal {
                Literal::Null => {}
                Literal::Bool(value) => texts.push(value.to_string()),
                Literal::Number(number) => numbers.push(number.as_str().to_owned()),
                Literal::String(text) => {
                    if Decimal::parse(text).is_some() {
                        numerals.push(text.clone());
                    }
                    texts.push(text.clone());
                }
                Literal::Time(time) => has_times |= time.is_supported(),
            }
        }
        texts.sort_unstable();
        for values in [&mut numbers, &mut numerals] {
            values.sort_unstable_by(|a, b| by_value(a, b));
        }
        Self { literals, texts, numbers, numerals, has_times }
    }

    /// As they were written.
    pub fn literals(&self) -> &[Literal] {
        &self.literals
    }

    /// Whether none can be equal to anything.
    pub(crate) fn is_null(&self) -> bool {
        self.literals.iter().all(Literal::is_null)
    }

    /// The `time:` literals at that time.
    pub(crate) fn times(&self, now: SystemTime) -> Vec<String> {
        let times = self.literals.iter().filter(|_| self.has_times);
        times
            .filter_map(|literal| match literal {
                Literal::Time(time) => time.at(now),
                _ => None,
            })
            .collect()
    }

    /// Whether any of them, or of `times`, equals the value.
    pub(crate) fn contains(&self, value: Scalar<'_>, times: &[String]) -> bool {
        let has_text = |text: &str| self.texts.binary_search_by(|own| own.as_str().cmp(text)).is_ok();
        let has = |numbers: &[String], value| numbers.binary_search_by(|own| by_value(own, value)).is_ok();
        let found = match value {
            Scalar::Null => false,
            Scalar::Bool(_) => has_text(&text(value)),
            Scalar::Number(number) => has(&self.numbers, number) || has(&self.numerals, number),
            Scalar::String(text) => {
                has_text(text) || (Decimal::parse(text).is_some() && has(&self.numbers, text))
            }
        };
        found || times.iter().any(|time| is_equal(value, Scalar::String(time)))
    }
}

/// Of texts that are numbers; what is none comes before them.
fn by_value(a: &str, b: &str) -> Ordering {
    match (Decimal::parse(a), Decimal::parse(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    }
}

impl fmt::Display for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, literal) in self.literals.iter().enumerate() {
            write!(f, "{}{literal}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Filter;
    use crate::arbitrary::literal;
    use crate::expression::{Condition, Expression};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn as_if_each_was_compared(literals in prop::collection::vec(literal(), 1..12), text in "[abA1.]{0,2}|-?[0-3](\\.[05]0?)?|true|1970-01-01T00:00:00Z", kind in 0..4) {
            let filter: Filter = format!("in(thingId,{})", literals.join(",")).parse().unwrap();
            let Expression::Is(predicate) = filter.expression() else { panic!("{filter}") };
            let Condition::In(choices) = &predicate.condition else { panic!("{filter}") };
            let value = match kind {
                0 => Scalar::Null,
                1 => Scalar::Bool(text == "true"),
                2 if Decimal::parse(&text).is_some() && serde_json::from_str::<f64>(&text).is_ok() => Scalar::Number(&text),
                _ => Scalar::String(&text),
            };
            let now = SystemTime::UNIX_EPOCH;
            let each = choices.literals().iter().any(|literal| is_equal(value, literal.at(now, &mut String::new())));
            prop_assert_eq!(choices.contains(value, &choices.times(now)), each);
        }
    }
}
