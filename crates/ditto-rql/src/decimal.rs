//! Decimal numbers of any length, compared without being converted.

use std::cmp::Ordering;

/// A number as its text, taken apart: `0.digits × 10^magnitude`, the first digit not zero.
///
/// Only comparison is needed, so the digits stay where they are: nothing is allocated, no exponent is too large, and the
/// time is linear in the text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal<'t> {
    is_negative: bool,
    magnitude: i64,
    /// Digits before and after the point, from the first that is not zero; both are empty if the number is zero.
    whole: &'t str,
    fraction: &'t str,
}

/// No text that fits into memory has so many digits, and sums of a few of these do not overflow.
const FARTHEST: i64 = 1 << 60;

impl<'t> Decimal<'t> {
    /// `[+-] (digits [. digits] | . digits) [e [+-] digits]`, which is what Java takes for a number.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let significant = fraction.trim_start_matches('0');
        let magnitude = match (whole, significant) {
            ("", "") => return Some(Self { is_negative: false, magnitude: 0, whole: "", fraction: "" }),
            ("", _) => length(significant) - length(fraction),
            _ => length(whole),
        };
        let fraction = if whole.is_empty() { significant } else { fraction };
        Some(Self { is_negative: text.starts_with('-'), magnitude: magnitude + exponent, whole, fraction })
    }

    fn digits(&self) -> impl Iterator<Item = u8> + use<'t> {
        self.whole.bytes().chain(self.fraction.bytes())
    }

    fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    /// By value.
    pub(crate) fn cmp(&self, other: &Decimal<'_>) -> Ordering {
        let sign = |it: &Decimal<'_>| match (it.is_zero(), it.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign != Ordering::Equal || self.is_zero() {
            return by_sign;
        }
        let by_size =
            self.magnitude.cmp(&other.magnitude).then_with(|| by_digits(self.digits(), other.digits()));
        if self.is_negative { by_size.reverse() } else { by_size }
    }
}

fn length(digits: &str) -> i64 {
    i64::try_from(digits.len()).unwrap_or(FARTHEST)
}

/// Saturates: beyond that, only which one is farther out could differ.
fn parse_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.bytes().fold(0_i64, |sum, digit| {
        (sum.saturating_mul(10)).saturating_add(i64::from(digit - b'0')).min(FARTHEST)
    });
    Some(if text.starts_with('-') { -size } else { size })
}

/// Digits behind the point of two numbers; what the shorter one lacks is zero.
fn by_digits(mut a: impl Iterator<Item = u8>, mut b: impl Iterator<Item = u8>) -> Ordering {
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() {
            return Ordering::Equal;
        }
        let order = x.unwrap_or(b'0').cmp(&y.unwrap_or(b'0'));
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, expected: Ordering) {
        let compare = |a, b| Decimal::parse(a).unwrap().cmp(&Decimal::parse(b).unwrap());
        assert_eq!(compare(a, b), expected, "{a} {b}");
        assert_eq!(compare(b, a), expected.reverse(), "{b} {a}");
    }

    #[test]
    fn by_value_and_exact() {
        check("5", "5.0", Ordering::Equal);
        check("9007199254740993", "9007199254740992", Ordering::Greater);
        check("0.1", "0.10000000000000000001", Ordering::Less);
        check("-0", "0.000e99", Ordering::Equal);
        check("-1", "1", Ordering::Less);
        check("-2", "-1", Ordering::Less);
        check("1e3", "1000", Ordering::Equal);
        check("0.001e+6", "1.000E3", Ordering::Equal);
        check("00012", "12.", Ordering::Equal);
        check(".5", "5e-1", Ordering::Equal);
        check("1e999999999999999999999", "9", Ordering::Greater);
        check("-1e999999999999999999999", "9", Ordering::Less);
        check("1e-999999999999999999999", "0", Ordering::Greater);
    }

    #[test]
    fn what_is_no_number() {
        for text in
            ["", ".", "+", "e5", "1e", "1e+", "1.2.3", " 1", "1 ", "0x1", "1_0", "٣", "NaN", "--1", "1e1.5"]
        {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn as_integers_of_the_same_scale(a in -9_999_999_i128..9_999_999, b in -9_999_999_i128..9_999_999, x in 0_u32..8, y in 0_u32..8) {
            let (left, right) = (format!("{a}e-{x}"), format!("{b}e-{y}"));
            let expected = (a * 10_i128.pow(y)).cmp(&(b * 10_i128.pow(x)));
            prop_assert_eq!(Decimal::parse(&left).unwrap().cmp(&Decimal::parse(&right).unwrap()), expected);
        }

        #[test]
        fn where_the_point_stands_does_not_matter(digits in "[0-9]{1,30}", at in 0_usize..30, zeros in 0_usize..4) {
            let at = at.min(digits.len());
            let (whole, fraction) = digits.split_at(at);
            let moved = format!("{}{whole}.{fraction}{}e{}", "0".repeat(zeros), "0".repeat(zeros), digits.len() - at);
            prop_assert_eq!(Decimal::parse(&moved).unwrap().cmp(&Decimal::parse(&digits).unwrap()), Ordering::Equal);
        }
    }
}
