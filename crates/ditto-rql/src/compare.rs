//! A value against a literal (rql.md §4).

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::decimal::Decimal;
use crate::expression::Comparison;
use crate::fields::Scalar;
use crate::literal::number_text;

/// Whether `value` is as `comparison` says. For `Ne` this is the answer of `Eq`: it is turned around only when all values of
/// a property are known.
pub(crate) fn compare(comparison: Comparison, value: Scalar<'_>, literal: Scalar<'_>) -> bool {
    match comparison {
        Comparison::Eq | Comparison::Ne => {
            (value, literal) == (Scalar::Null, Scalar::Null) || is_equal(value, literal)
        }
        Comparison::Gt => order(value, literal) == Some(Ordering::Greater),
        Comparison::Ge => matches!(order(value, literal), Some(Ordering::Greater | Ordering::Equal)),
        Comparison::Lt => order(value, literal) == Some(Ordering::Less),
        Comparison::Le => matches!(order(value, literal), Some(Ordering::Less | Ordering::Equal)),
    }
}

/// Equal, and not null: for `in`, which never matches that.
pub(crate) fn is_equal(value: Scalar<'_>, literal: Scalar<'_>) -> bool {
    match (value, literal) {
        (Scalar::String(value), Scalar::String(literal)) => value == literal,
        _ => order(value, literal) == Some(Ordering::Equal),
    }
}

/// Numbers by value, also against a text that is one; texts by their UTF-16 units; what is of different kinds by its text.
/// Null has no order.
fn order(value: Scalar<'_>, literal: Scalar<'_>) -> Option<Ordering> {
    let order = match (value, literal) {
        (Scalar::Null, _) | (_, Scalar::Null) => return None,
        (Scalar::Bool(value), Scalar::Bool(literal)) => value.cmp(&literal),
        (Scalar::String(value), Scalar::String(literal)) => by_units(value, literal),
        (Scalar::Number(a) | Scalar::String(a), Scalar::Number(b) | Scalar::String(b)) => {
            match (Decimal::parse(a), Decimal::parse(b)) {
                (Some(a), Some(b)) => a.cmp(&b),
                _ => by_units(&text(value), &text(literal)),
            }
        }
        _ => by_units(&text(value), &text(literal)),
    };
    Some(order)
}

/// As Java orders texts: where they first differ, by UTF-16 unit.
fn by_units(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// The text of a value that is compared with something of another kind, or with a pattern.
pub(crate) fn text(value: Scalar<'_>) -> Cow<'_, str> {
    match value {
        Scalar::Null => Cow::Borrowed("null"),
        Scalar::Bool(true) => Cow::Borrowed("true"),
        Scalar::Bool(false) => Cow::Borrowed("false"),
        Scalar::Number(number) => number_text(number),
        Scalar::String(text) => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Scalar<'_>, literal: Scalar<'_>, expected: Option<Ordering>) {
        assert_eq!(order(value, literal), expected, "{value:?} {literal:?}");
        assert_eq!(order(literal, value), expected.map(Ordering::reverse), "{literal:?} {value:?}");
    }

    #[test]
    fn kinds_against_kinds() {
        use Scalar::{Bool, Null, Number, String};
        check(Number("10"), Number("9"), Some(Ordering::Greater));
        check(Number("10"), String("9"), Some(Ordering::Greater));
        check(String("10"), String("9"), Some(Ordering::Less));
        check(String("10"), String("10.0"), Some(Ordering::Less));
        check(Number("10"), String("10.0"), Some(Ordering::Equal));
        check(Number("5"), String("abc"), Some(Ordering::Less));
        check(Number("5"), String(" 5"), Some(Ordering::Greater));
        check(Bool(true), String("true"), Some(Ordering::Equal));
        check(Bool(false), Bool(true), Some(Ordering::Less));
        check(Bool(true), Number("1"), Some(Ordering::Greater));
        check(Null, String("null"), None);
        check(Null, Null, None);
        // Java's units: a surrogate is below U+FFEE.
        check(String("😀"), String("\u{ffee}"), Some(Ordering::Less));
    }

    #[test]
    fn null_is_equal_to_null_alone() {
        assert!(compare(Comparison::Eq, Scalar::Null, Scalar::Null));
        assert!(!compare(Comparison::Le, Scalar::Null, Scalar::Null));
        assert!(!compare(Comparison::Eq, Scalar::String("null"), Scalar::Null));
        assert!(!is_equal(Scalar::Null, Scalar::Null));
    }
}
