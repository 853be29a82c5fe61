//! What a filter is made of. `Display` prints the one canonical form, and what is printed reads back as the same.

use std::fmt;
use std::str::FromStr;

use ditto_json::JsonPointer;

use crate::choices::Choices;
use crate::error::FilterError;
use crate::grammar;
use crate::literal::Literal;
use crate::pattern::Pattern;
use crate::property::Property;

/// A filter that was parsed, and whose properties are legal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub(crate) expression: Expression,
}

/// What a filter says. Only parsing makes one: it bounds how deep they are nested, so that whoever walks them may recurse.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expression {
    /// `and(…)`: every operand, at least one.
    #[non_exhaustive]
    And(Vec<Self>),
    /// `or(…)`: any operand of at least one.
    #[non_exhaustive]
    Or(Vec<Self>),
    /// `not(…)`
    #[non_exhaustive]
    Not(Box<Self>),
    /// What is said of one property.
    Is(Predicate),
}

/// What is said of one property.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Predicate {
    /// The property.
    pub property: Property,
    /// What must hold for it.
    pub condition: Condition,
}

/// What must hold for a property.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// `eq`, `ne`, `gt`, `ge`, `lt`, `le`
    Compare(Comparison, Literal),
    /// `in`: equal to any of them, at least one.
    In(Choices),
    /// `like`, `ilike`
    Like(Pattern),
    /// `exists`
    Exists,
    /// `empty`
    Empty,
}

/// How a value is compared with a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of RQL say it")]
pub enum Comparison {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

impl Filter {
    /// What it says.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// Every property that it asks for, as often as it does.
    pub fn properties(&self) -> impl Iterator<Item = &Property> {
        self.predicates().map(|predicate| &predicate.property)
    }

    /// Every place of a thing that its evaluation looks at, as often as it does: what has to be extracted from a text.
    pub fn pointers(&self) -> impl Iterator<Item = &JsonPointer> {
        self.predicates().flat_map(Predicate::pointers)
    }

    fn predicates(&self) -> impl Iterator<Item = &Predicate> {
        let mut open = vec![&self.expression];
        std::iter::from_fn(move || {
            loop {
                match open.pop()? {
                    Expression::And(parts) | Expression::Or(parts) => open.extend(parts.iter().rev()),
                    Expression::Not(inner) => open.push(inner),
                    Expression::Is(predicate) => return Some(predicate),
                }
            }
        })
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        grammar::parse(text).map(|expression| Self { expression })
    }
}

impl Comparison {
    /// Its name in a filter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
        }
    }

    /// Whether it asks for an order: nothing is before or after null.
    pub(crate) fn is_order(self) -> bool {
        !matches!(self, Self::Eq | Self::Ne)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, parts) = match self {
            Self::And(parts) => ("and", parts.as_slice()),
            Self::Or(parts) => ("or", parts.as_slice()),
            Self::Not(inner) => ("not", std::slice::from_ref(&**inner)),
            Self::Is(predicate) => return predicate.fmt(f),
        };
        write!(f, "{name}(")?;
        for (at, part) in parts.iter().enumerate() {
            write!(f, "{}{part}", if at > 0 { "," } else { "" })?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let property = &self.property;
        match &self.condition {
            Condition::Compare(comparison, literal) => {
                write!(f, "{}({property},{literal})", comparison.name())
            }
            Condition::In(choices) => write!(f, "in({property},{choices})"),
            Condition::Like(pattern) => write!(f, "{}({property},{pattern})", pattern.operator()),
            Condition::Exists => write!(f, "exists({property})"),
            Condition::Empty => write!(f, "empty({property})"),
        }
    }
}
