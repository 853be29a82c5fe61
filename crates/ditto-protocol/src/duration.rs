//! Durations of headers (protocol.md §11).

use std::time::Duration;

/// `[+]digits[unit]` with the units ms, s (or none), m, h, d, w, mo and y; no blanks, fractions or upper case.
/// A month has 30.436875 days, a year 365.2425.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        "mo" => 2_629_746_000,
        "y" => 31_556_952_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, millis) in [
            ("10", Some(10_000)),
            ("+5s", Some(5_000)),
            ("500ms", Some(500)),
            ("1mo", Some(2_629_746_000)),
            ("-5", None),
            ("1.5s", None),
            ("", None),
            ("5S", None),
            ("99999999999999999999", None),
            ("18446744073709551615y", None),
        ] {
            assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
