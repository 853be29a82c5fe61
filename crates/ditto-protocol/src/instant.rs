//! Instants as texts: ISO 8601 with a date, a time with seconds, and an offset.

use std::borrow::Cow;
use std::time::SystemTime;

use jiff::Timestamp;

/// Whether a text is an instant. Those with UTC and up to nine digits, which is what Ditto writes, are told by shape.
pub(crate) fn is_instant(text: &str) -> bool {
    let plain = text.strip_suffix('Z').map(|text| text.split_once('.').unwrap_or((text, "0"))).is_some_and(
        |(seconds, fraction)| {
            seconds.len() == 19
                && seconds.bytes().enumerate().all(|(at, byte)| has_shape(at, byte))
                && (1..=9).contains(&fraction.len())
                && fraction.bytes().all(|byte| byte.is_ascii_digit())
        },
    );
    plain
        && (1..=12).contains(&two(text, 5))
        && (1..=28).contains(&two(text, 8))
        && two(text, 11) < 24
        && two(text, 14) < 60
        && two(text, 17) < 60
        || parse(text).is_some()
}

/// An instant in the reference's form: UTC, with 0, 3, 6 or 9 digits of a second. Other texts stay as they are.
pub(crate) fn canonical_instant(text: &str) -> Cow<'_, str> {
    let digits =
        text.strip_suffix('Z').and_then(|text| text.split_once('.')).map(|(_, fraction)| fraction.len());
    let is_canonical = match digits {
        None => text.len() == 20 && text.ends_with('Z'),
        Some(digits) => matches!(digits, 3 | 6 | 9) && !text.ends_with("000Z"),
    };
    if is_canonical {
        return Cow::Borrowed(text);
    }
    let Some(instant) = parse(text) else { return Cow::Borrowed(text) };
    let precision = match instant.subsec_nanosecond() {
        0 => 0,
        n if n % 1_000_000 == 0 => 3,
        n if n % 1_000 == 0 => 6,
        _ => 9,
    };
    Cow::Owned(format!("{instant:.precision$}"))
}

/// The instant that an ISO 8601 text with date, time with seconds, and offset names, such as `2024-05-06T07:08:09Z`.
pub fn parse_instant(text: &str) -> Option<SystemTime> {
    parse(text).and_then(|instant| SystemTime::try_from(instant).ok())
}

/// Blanks, annotations and a time without seconds, which other readers of such texts take, are none.
fn parse(text: &str) -> Option<Timestamp> {
    let time = text.get(11..19)?;
    let is_time = time.bytes().enumerate().all(|(at, byte)| has_shape(at + 11, byte));
    let separated = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    if !is_time || !separated || text.contains([',', '[']) {
        return None;
    }
    text.parse().ok()
}

/// Whether `byte` can stand at place `at` of `2024-05-06T07:08:09`.
fn has_shape(at: usize, byte: u8) -> bool {
    match at {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    }
}

fn two(text: &str, at: usize) -> u32 {
    text.get(at..at + 2).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_and_their_form() {
        for (text, canonical) in [
            ("2024-05-06T07:08:09Z", Some("2024-05-06T07:08:09Z")),
            ("2024-05-06T07:08:09.1Z", Some("2024-05-06T07:08:09.100Z")),
            ("2024-05-06T07:08:09.000Z", Some("2024-05-06T07:08:09Z")),
            ("2024-05-06T09:08:09.010+02:00", Some("2024-05-06T07:08:09.010Z")),
            ("2024-02-29T00:00:00Z", Some("2024-02-29T00:00:00Z")),
            ("2024-02-30T00:00:00Z", None),
            ("2024-00-01T00:00:00Z", None),
            ("2024-05-06 07:08:09Z", None),
            ("2024-05-06T07:08Z", None),
            ("2024-05-06T07:08:09Z[UTC]", None),
            ("2024-05-06T07:08:09,5Z", None),
            ("2024-05-06T07:08:09", None),
            ("yesterday", None),
        ] {
            assert_eq!(is_instant(text), canonical.is_some(), "{text}");
            assert_eq!(canonical_instant(text), canonical.unwrap_or(text), "{text}");
        }
    }
}
