//! Why a filter holds or not.

use std::fmt;
use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::eval::Evaluation;
use crate::expression::{Expression, Filter};
use crate::fields::{Fields, Scalar};
use crate::literal::Literal;
use crate::pending::Pending;
use crate::quote::Shown;
use crate::truth::Truth;

/// A filter with what came out at each of its operators. `Display` prints it as lines, each operator indented below the one
/// around it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The operator; for one that is about a property, as a whole.
    pub text: String,
    /// What came out.
    pub truth: Truth,
    /// The values that were compared, as JSON, in order: the last one decided, if any did.
    pub compared: Vec<String>,
    /// Values that were compared beyond those.
    pub omitted: usize,
    /// The operands of `and`, `or` and `not`: all of them, also those that an evaluation leaves out once it is decided.
    pub parts: Vec<Self>,
}

/// Values of a property that are kept.
const MAX_COMPARED: usize = 16;

impl Filter {
    /// Evaluates it and tells why it came out so; with nothing pending, as [`Filter::matches`].
    pub fn explain(&self, fields: &dyn Fields, pending: &Pending, now: SystemTime) -> Explanation {
        explain(Evaluation { fields, pending, now }, &self.expression)
    }
}

impl Explanation {
    /// `{text, truth, compared?, omitted?, parts?}`; parts are the same.
    pub fn to_json(&self) -> Value {
        let mut node = Map::new();
        node.insert("text".to_owned(), self.text.as_str().into());
        node.insert("truth".to_owned(), self.truth.to_string().into());
        if !self.compared.is_empty() {
            node.insert("compared".to_owned(), self.compared.as_slice().into());
        }
        if self.omitted > 0 {
            node.insert("omitted".to_owned(), self.omitted.into());
        }
        if !self.parts.is_empty() {
            node.insert("parts".to_owned(), self.parts.iter().map(Self::to_json).collect());
        }
        node.into()
    }
}

fn explain(evaluation: Evaluation<'_>, expression: &Expression) -> Explanation {
    let all =
        |parts: &[Expression]| -> Vec<_> { parts.iter().map(|part| explain(evaluation, part)).collect() };
    let operator = |name: &str, truth, parts| Explanation {
        text: name.to_owned(),
        truth,
        compared: Vec::new(),
        omitted: 0,
        parts,
    };
    match expression {
        Expression::And(parts) => {
            let parts = all(parts);
            let truth = parts.iter().map(|part| part.truth).min().unwrap_or(Truth::True);
            operator("and", truth, parts)
        }
        Expression::Or(parts) => {
            let parts = all(parts);
            let truth = parts.iter().map(|part| part.truth).max().unwrap_or(Truth::False);
            operator("or", truth, parts)
        }
        Expression::Not(inner) => {
            let inner = explain(evaluation, inner);
            operator("not", !inner.truth, vec![inner])
        }
        Expression::Is(predicate) => {
            let (mut compared, mut omitted) = (Vec::new(), 0);
            let truth = evaluation.predicate(predicate, &mut |value| {
                if compared.len() < MAX_COMPARED { compared.push(json(value)) } else { omitted += 1 }
            });
            Explanation { text: predicate.to_string(), truth, compared, omitted, parts: Vec::new() }
        }
    }
}

fn json(value: Scalar<'_>) -> String {
    match value {
        Scalar::Null => Literal::Null.to_string(),
        Scalar::Bool(value) => Literal::Bool(value).to_string(),
        Scalar::Number(number) => number.to_owned(),
        Scalar::String(text) => Literal::String(text.to_owned()).to_string(),
    }
}

impl Explanation {
    fn write(&self, f: &mut fmt::Formatter<'_>, level: usize) -> fmt::Result {
        write!(f, "{:<7} {}{}", self.truth, "  ".repeat(level), Shown(&self.text))?;
        for (at, value) in self.compared.iter().enumerate() {
            write!(f, "{}{}", if at == 0 { "  <- " } else { ", " }, Shown(value))?;
        }
        if self.omitted > 0 {
            write!(f, " and {} more", self.omitted)?;
        }
        self.parts.iter().try_for_each(|part| {
            writeln!(f)?;
            part.write(f, level + 1)
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(filter: &str, pending: &str, expected: Expect) {
        let thing = json!({"attributes": {"n": 5, "arr": [1, "two", null, [true]], "many": (0..20).collect::<Vec<_>>()}});
        let pending = Pending::of([&pending.parse().unwrap()]);
        let explanation = filter.parse::<Filter>().unwrap().explain(&thing, &pending, SystemTime::UNIX_EPOCH);
        expected.assert_eq(&explanation.to_string());
    }

    #[test]
    fn each_operator_with_what_was_compared() {
        check(
            "and(or(gt(attributes/n,5),eq(attributes/site,\"north\")),in(attributes/arr,\"two\",4),not(exists(attributes/nope)))",
            "attributes/site",
            expect![[r#"
                unknown and
                unknown   or
                false       gt(attributes/n,5)  <- 5
                unknown     eq(attributes/site,"north")
                true      in(attributes/arr,"two",4)  <- 1, "two"
                true      not
                false       exists(attributes/nope)"#]],
        );
        check(
            "eq(attributes/many,99)",
            "thingId",
            expect![
                "false   eq(attributes/many,99)  <- 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 and 4 more"
            ],
        );
    }
}
