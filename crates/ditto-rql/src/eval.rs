//! Evaluation: with two values on a thing that is known, with three while something may still come (rql.md §4–§7).

use std::ops::ControlFlow;
use std::time::SystemTime;

use ditto_json::JsonPointer;

use crate::compare::{compare, text};
use crate::expression::{Comparison, Condition, Expression, Filter, Predicate};
use crate::fields::{Fields, Presence, Scalar};
use crate::pending::Pending;
use crate::property::{Field, Property};
use crate::truth::Truth;

impl Filter {
    /// Whether it holds. `now` is what `time:` literals mean.
    pub fn matches(&self, fields: &dyn Fields, now: SystemTime) -> bool {
        self.could_match(fields, &Pending::nothing(), now) == Truth::True
    }

    /// What can be said before `pending` has come: `False` and `True` stay, whatever comes.
    pub fn could_match(&self, fields: &dyn Fields, pending: &Pending, now: SystemTime) -> Truth {
        Evaluation { fields, pending, now }.expression(&self.expression)
    }
}

/// What an evaluation takes place on.
#[derive(Clone, Copy)]
pub(crate) struct Evaluation<'e> {
    pub(crate) fields: &'e dyn Fields,
    pub(crate) pending: &'e Pending,
    pub(crate) now: SystemTime,
}

impl Evaluation<'_> {
    fn expression(self, expression: &Expression) -> Truth {
        match expression {
            Expression::And(parts) => self.until(parts, Truth::True, Truth::False, Truth::min),
            Expression::Or(parts) => self.until(parts, Truth::False, Truth::True, Truth::max),
            Expression::Not(inner) => !self.expression(inner),
            Expression::Is(predicate) => self.predicate(predicate, &mut |_| {}),
        }
    }

    /// Folds the operands until one has decided.
    fn until(
        self,
        parts: &[Expression],
        start: Truth,
        decided: Truth,
        fold: fn(Truth, Truth) -> Truth,
    ) -> Truth {
        let mut truth = start;
        for part in parts {
            truth = fold(truth, self.expression(part));
            if truth == decided {
                break;
            }
        }
        truth
    }

    /// `watch` sees each value that is compared.
    pub(crate) fn predicate(self, predicate: &Predicate, watch: &mut dyn FnMut(Scalar<'_>)) -> Truth {
        if let Some(constant) = constant(predicate) {
            return constant.into();
        }
        if let Property::Field(field) = &predicate.property
            && self.pending.concerns(field.path())
        {
            return Truth::Unknown;
        }
        let property = &predicate.property;
        let holds = match &predicate.condition {
            Condition::Exists => self.presence(property) != Presence::Absent,
            Condition::Empty => self.is_empty(property),
            Condition::Compare(comparison, literal) => {
                let mut buffer = String::new();
                let literal = literal.at(self.now, &mut buffer);
                let found = self.any(property, watch, &mut |value| compare(*comparison, value, literal));
                // Not: some value is another one.
                found != (*comparison == Comparison::Ne)
            }
            Condition::In(choices) => {
                let times = choices.times(self.now);
                self.any(property, watch, &mut |value| choices.contains(value, &times))
            }
            Condition::Like(pattern) => self.any(property, watch, &mut |value| match value {
                Scalar::Null => pattern.matches_null(),
                value => pattern.matches(&text(value)),
            }),
        };
        holds.into()
    }

    /// Whether any value of the property satisfies. Of a placeholder only the first counts.
    fn any(
        self,
        property: &Property,
        watch: &mut dyn FnMut(Scalar<'_>),
        satisfies: &mut dyn FnMut(Scalar<'_>) -> bool,
    ) -> bool {
        let mut found = false;
        let mut look = |value: Scalar<'_>| {
            watch(value);
            found = satisfies(value);
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        match property {
            Property::Field(field) => self.fields.values(field.path(), &mut look),
            Property::Placeholder(placeholder) => {
                self.fields.placeholder(placeholder, &mut |value| {
                    let _ = look(Scalar::String(value));
                    ControlFlow::Break(())
                });
            }
        }
        found
    }

    fn presence(self, property: &Property) -> Presence {
        match property {
            Property::Field(field) => self.fields.presence(field.path()),
            Property::Placeholder(placeholder) => {
                let mut presence = Presence::Absent;
                self.fields.placeholder(placeholder, &mut |value| {
                    if value.is_empty() {
                        presence = Presence::Empty;
                        return ControlFlow::Continue(());
                    }
                    presence = Presence::Filled;
                    ControlFlow::Break(())
                });
                presence
            }
        }
    }

    fn is_empty(self, property: &Property) -> bool {
        let is_absent = |path: &JsonPointer| self.fields.presence(path) == Presence::Absent;
        match parts(property) {
            Some(parts) => parts.iter().all(is_absent),
            None => self.presence(property) != Presence::Filled,
        }
    }
}

impl Predicate {
    /// The places of a thing that [`Evaluation::predicate`] looks at.
    pub(crate) fn pointers(&self) -> &[JsonPointer] {
        if constant(self).is_some() {
            return &[];
        }
        match (&self.property, &self.condition, parts(&self.property)) {
            (Property::Field(_), Condition::Empty, Some(parts)) => parts,
            (Property::Field(field), _, _) => std::slice::from_ref(field.path()),
            (Property::Placeholder(_), _, _) => &[],
        }
    }
}

/// Of a feature as a whole: what must be absent for it to be empty.
fn parts(property: &Property) -> Option<&[JsonPointer; 3]> {
    match property {
        Property::Field(field) => field.parts(),
        Property::Placeholder(_) => None,
    }
}

/// What holds whatever the thing is.
fn constant(predicate: &Predicate) -> Option<bool> {
    let is_hidden = match &predicate.property {
        Property::Field(field) => Field::is_hidden(field),
        Property::Placeholder(_) => false,
    };
    match &predicate.condition {
        Condition::Exists => is_hidden.then_some(false),
        Condition::Empty => is_hidden.then_some(true),
        Condition::Compare(comparison, literal) => {
            (comparison.is_order() && literal.is_null()).then_some(false)
        }
        Condition::In(choices) => choices.is_null().then_some(false),
        Condition::Like(_) => None,
    }
}

#[cfg(test)]
mod tests;
