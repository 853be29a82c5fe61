//! `time:` literals: now, moved and cut off (placeholders.md §6).

use std::fmt;
use std::time::SystemTime;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// `time:now-1d[d]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Time {
    /// What stands behind `time:`, as it was written.
    name: String,
    meaning: Option<Meaning>,
}

/// What a name says, if it says something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meaning {
    /// As a number of milliseconds, in place of a text of ISO 8601.
    is_millis: bool,
    offset: SignedDuration,
    /// The offset comes first.
    cut: Option<Unit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Time {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), meaning: Meaning::parse(name) }
    }

    /// Whether it says something; what does not is null.
    pub fn is_supported(&self) -> bool {
        self.meaning.is_some()
    }

    /// Its text at that time; `None` where it says nothing, or an instant that no calendar has.
    pub fn at(&self, now: SystemTime) -> Option<String> {
        let meaning = self.meaning?;
        let moved = Timestamp::try_from(now).ok()?.checked_add(meaning.offset).ok()?;
        let instant = match meaning.cut {
            Some(unit) => unit.cut(moved)?,
            None => moved,
        };
        if meaning.is_millis {
            return Some(instant.as_millisecond().to_string());
        }
        // Java writes 0, 3, 6 or 9 digits.
        let precision = match instant.subsec_nanosecond() {
            0 => 0,
            n if n % 1_000_000 == 0 => 3,
            n if n % 1_000 == 0 => 6,
            _ => 9,
        };
        Some(format!("{instant:.precision$}"))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "time:{}", self.name)
    }
}

impl Meaning {
    /// `("now_epoch_millis" | "now") [("+" | "-") duration] ["[" unit "]"]`, and anything behind the last bracket.
    fn parse(name: &str) -> Option<Self> {
        let (is_millis, rest) = match name.strip_prefix("now_epoch_millis") {
            Some(rest) => (true, rest),
            None => (false, name.strip_prefix("now")?),
        };
        let (moved, cut) = match (rest.find('['), rest.rfind(']')) {
            (Some(open), Some(close)) => (rest.get(..open)?, Some(Unit::find(rest.get(open + 1..close)?)?)),
            _ => (rest, None),
        };
        let offset = match moved.split_at_checked(1) {
            Some(("+", duration)) => parse_duration(duration)?,
            Some(("-", duration)) => -parse_duration(duration)?,
            None => SignedDuration::ZERO,
            // Without a sign, all before a bracket is ignored.
            Some(_) if cut.is_some() => SignedDuration::ZERO,
            Some(_) => return None,
        };
        Some(Self { is_millis, offset, cut })
    }
}

/// `["+"] digits unit`
fn parse_duration(text: &str) -> Option<SignedDuration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = text.split_at_checked(digits)?;
    let count: i64 = digits.parse().ok()?;
    match Unit::find(unit)?.seconds() {
        Some(seconds) => Some(SignedDuration::from_secs(count.checked_mul(seconds)?)),
        None => Some(SignedDuration::from_millis(count)),
    }
}

const DAY: i64 = 24 * 3600;

impl Unit {
    fn find(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "ms" => Self::Millisecond,
            "s" | "" => Self::Second,
            "m" => Self::Minute,
            "h" => Self::Hour,
            "d" => Self::Day,
            "w" => Self::Week,
            "mo" => Self::Month,
            "y" => Self::Year,
            _ => return None,
        })
    }

    /// How long it is as a duration: a year has 365.2425 days and twelve months. `None` for less than a second.
    fn seconds(self) -> Option<i64> {
        match self {
            Self::Millisecond => None,
            Self::Second => Some(1),
            Self::Minute => Some(60),
            Self::Hour => Some(3600),
            Self::Day => Some(DAY),
            Self::Week => Some(7 * DAY),
            Self::Month => Some(2_629_746),
            Self::Year => Some(31_556_952),
        }
    }

    /// The start of the unit in which an instant lies, in UTC: weeks start on Monday.
    fn cut(self, instant: Timestamp) -> Option<Timestamp> {
        let seconds = instant.as_nanosecond().div_euclid(1_000_000_000);
        let seconds = i64::try_from(seconds).ok()?;
        let floor = |unit: i64| Timestamp::from_second(seconds - seconds.rem_euclid(unit)).ok();
        let date = || TimeZone::UTC.to_datetime(instant).date();
        let start_of = |date: jiff::civil::Date| TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok();
        match self {
            Self::Millisecond => {
                let millis = instant.as_nanosecond().div_euclid(1_000_000);
                Timestamp::from_millisecond(i64::try_from(millis).ok()?).ok()
            }
            Self::Second | Self::Minute | Self::Hour | Self::Day => floor(self.seconds()?),
            // The first day of the epoch was a Thursday.
            Self::Week => Timestamp::from_second(seconds - (seconds + 3 * DAY).rem_euclid(7 * DAY)).ok(),
            Self::Month => start_of(date().first_of_month()),
            Self::Year => start_of(date().first_of_year()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(name: &str, expected: Option<&str>) {
        // 2026-11-25T03:15:45.678901Z, a Wednesday.
        let now = SystemTime::UNIX_EPOCH + Duration::new(1_795_576_545, 678_901_000);
        assert_eq!(Time::new(name).at(now).as_deref(), expected, "{name}");
    }

    #[test]
    fn moved_and_then_cut() {
        check("now", Some("2026-11-25T03:15:45.678901Z"));
        check("now_epoch_millis", Some("1795576545678"));
        check("now-1h", Some("2026-11-25T02:15:45.678901Z"));
        check("now+5", Some("2026-11-25T03:15:50.678901Z"));
        check("now++5s", Some("2026-11-25T03:15:50.678901Z"));
        check("now-2ms", Some("2026-11-25T03:15:45.676901Z"));
        check("now-1mo", Some("2026-10-25T16:46:39.678901Z"));
        check("now-1y", Some("2025-11-24T21:26:33.678901Z"));
        check("now[ms]", Some("2026-11-25T03:15:45.678Z"));
        check("now[s]", Some("2026-11-25T03:15:45Z"));
        check("now[]", Some("2026-11-25T03:15:45Z"));
        check("now[m]", Some("2026-11-25T03:15:00Z"));
        check("now-1d[d]", Some("2026-11-24T00:00:00Z"));
        check("now[w]", Some("2026-11-23T00:00:00Z"));
        check("now[mo]", Some("2026-11-01T00:00:00Z"));
        check("now-1y[y]", Some("2025-01-01T00:00:00Z"));
        check("now[h]x", Some("2026-11-25T03:00:00Z"));
        check("now_epoch_millis[h]", Some("1795575600000"));
    }

    #[test]
    fn what_says_nothing() {
        for name in [
            "",
            "nope",
            "nowx",
            "NOW",
            "now ",
            "now-",
            "now-1x",
            "now-1h-1h",
            "now-1.5h",
            "now[h][d]",
            "now[H]",
            "now]h[",
            "now+1h ",
            "now--1h",
            "now-9223372036854775807y",
            "now-9999999999y",
        ] {
            check(name, None);
        }
    }
}
