//! `time:now…` (placeholders.md §6). Arithmetic on seconds since 1970 in UTC: months and years as offsets are fixed numbers of
//! seconds, so that no calendar and no time zone has a say; only truncation looks at the calendar.

use std::fmt::{self, Write};

/// A point in time, in UTC. Time before 1970 has negative seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcTime {
    seconds: i64,
    nanos: u32,
}

/// What stands behind `time:`, read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TimeName {
    text: String,
    is_millis: bool,
    offset_ms: i64,
    truncation: Option<Unit>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Unit {
    Millis,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

const DAY: i64 = 86_400;

/// Some 100 000 years. An offset beyond would be a mistake, and with less nothing here overflows.
const MAX_OFFSET_MS: i64 = 3_200_000_000_000_000;

impl Unit {
    fn find(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "s" | "" => Self::Second,
            "ms" => Self::Millis,
            "m" => Self::Minute,
            "h" => Self::Hour,
            "d" => Self::Day,
            "w" => Self::Week,
            "mo" => Self::Month,
            "y" => Self::Year,
            _ => return None,
        })
    }

    fn millis(self) -> i64 {
        match self {
            Self::Millis => 1,
            Self::Second => 1_000,
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => DAY * 1_000,
            Self::Week => 7 * DAY * 1_000,
            // A twelfth of a year of 365.2425 days.
            Self::Month => 2_629_746_000,
            Self::Year => 31_556_952_000,
        }
    }
}

impl UtcTime {
    /// The time so many seconds and nanoseconds after 1970 began. Nanoseconds beyond a second count as the last one of it, and
    /// a time more than a thousand million years away as that.
    pub fn new(seconds: i64, nanos: u32) -> Self {
        const FARTHEST: i64 = 31_556_952_000_000_000;
        Self { seconds: seconds.clamp(-FARTHEST, FARTHEST), nanos: nanos.min(999_999_999) }
    }

    fn plus_millis(self, millis: i64) -> Self {
        let nanos = i64::from(self.nanos) + millis.rem_euclid(1_000) * 1_000_000;
        let seconds = self.seconds + millis.div_euclid(1_000) + nanos / 1_000_000_000;
        Self::new(seconds, u32::try_from(nanos % 1_000_000_000).unwrap_or_default())
    }

    fn truncated(self, unit: Unit) -> Self {
        let floor = |to: i64| self.seconds - self.seconds.rem_euclid(to);
        let days = self.seconds.div_euclid(DAY);
        let (year, month, _) = date_of(days);
        let (seconds, nanos) = match unit {
            Unit::Millis => (self.seconds, self.nanos - self.nanos % 1_000_000),
            Unit::Second => (self.seconds, 0),
            Unit::Minute => (floor(60), 0),
            Unit::Hour => (floor(3_600), 0),
            Unit::Day => (floor(DAY), 0),
            // 1970 began on a Thursday.
            Unit::Week => ((days - (days + 3).rem_euclid(7)) * DAY, 0),
            Unit::Month => (days_of(year, month) * DAY, 0),
            Unit::Year => (days_of(year, 1) * DAY, 0),
        };
        Self { seconds, nanos }
    }

    fn epoch_millis(self) -> i64 {
        self.seconds.saturating_mul(1_000).saturating_add(i64::from(self.nanos / 1_000_000))
    }
}

/// ISO 8601 in UTC with none, three, six or nine digits of a second's fraction.
impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date_of(self.seconds.div_euclid(DAY));
        let second = self.seconds.rem_euclid(DAY);
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            10_000.. => write!(f, "+{year}")?,
            _ => write!(f, "-{:04}", -year)?,
        }
        write!(f, "-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)?;
        match self.nanos {
            0 => {}
            nanos if nanos % 1_000_000 == 0 => write!(f, ".{:03}", nanos / 1_000_000)?,
            nanos if nanos % 1_000 == 0 => write!(f, ".{:06}", nanos / 1_000)?,
            nanos => write!(f, ".{nanos:09}")?,
        }
        f.write_str("Z")
    }
}

/// Years of 365.2425 days on average, in eras of 400 years that begin in March, so that the leap day is the last one.
const ERA: i64 = 146_097;

/// Year, month and day of the days since 1970.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let day_of_era = days.rem_euclid(ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (days.div_euclid(ERA) * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Days since 1970 of the first day of a month.
fn days_of(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * from_march + 2) / 5;
    year.div_euclid(400) * ERA + day_of_era - 719_468
}

impl TimeName {
    /// Reads `now` or `now_epoch_millis`, an offset and a truncation. Whatever else stands between the name and the bracket, or
    /// behind it, has no effect in the reference (§6).
    pub fn parse(text: &str) -> Option<Self> {
        let (is_millis, suffix) = match text.strip_prefix("now_epoch_millis") {
            Some(suffix) => (true, suffix),
            None => (false, text.strip_prefix("now")?),
        };
        let mut name = Self { text: text.to_owned(), is_millis, offset_ms: 0, truncation: None };
        if suffix.is_empty() {
            return Some(name);
        }
        let mut duration = suffix;
        if let Some((before, bracket)) = suffix.split_once('[')
            && suffix.contains(']')
        {
            let (unit, _) = bracket.rsplit_once(']')?;
            name.truncation = Some(Unit::find(unit)?);
            duration = before;
        }
        let sign = match suffix.as_bytes().first() {
            Some(b'-') => -1,
            Some(b'+') => 1,
            _ => return name.truncation.is_some().then_some(name),
        };
        name.offset_ms = sign * duration_ms(duration.get(1..)?)?;
        Some(name)
    }

    /// Appends this time, counted from `now`.
    pub fn append(&self, now: UtcTime, out: &mut String) {
        let mut time = now.plus_millis(self.offset_ms);
        if let Some(unit) = self.truncation {
            time = time.truncated(unit);
        }
        // Writing to a string does not fail.
        let _ = if self.is_millis { write!(out, "{}", time.epoch_millis()) } else { write!(out, "{time}") };
    }
}

impl fmt::Display for TimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// duration = [ "+" ] digits unit ; a minus is taken before zero only
fn duration_ms(text: &str) -> Option<i64> {
    let (unsigned, is_negative) = match text.as_bytes().first()? {
        b'+' => (text.get(1..)?, false),
        b'-' => (text.get(1..)?, true),
        _ => (text, false),
    };
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = unsigned.split_at_checked(digits)?;
    let number: i64 = number.parse().ok()?;
    if is_negative && number != 0 {
        return None;
    }
    number.checked_mul(Unit::find(unit)?.millis()).filter(|millis| *millis <= MAX_OFFSET_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-03-17T10:42:31.987654321Z, a Wednesday.
    const NOW: UtcTime = UtcTime { seconds: 1_805_280_151, nanos: 987_654_321 };

    #[track_caller]
    fn check(name: &str, expected: &str) {
        let mut out = String::new();
        match TimeName::parse(name) {
            Some(time) => time.append(NOW, &mut out),
            None => out.push_str("unsupported"),
        }
        assert_eq!(out, expected, "{name}");
    }

    #[test]
    fn offsets_and_truncations() {
        check("now", "2027-03-17T10:42:31.987654321Z");
        check("now_epoch_millis", "1805280151987");
        check("now-1500ms", "2027-03-17T10:42:30.487654321Z");
        check("now[ms]", "2027-03-17T10:42:31.987Z");
        check("now[w]", "2027-03-15T00:00:00Z");
        check("now[mo]", "2027-03-01T00:00:00Z");
        check("now-1y[y]", "2026-01-01T00:00:00Z");
        check("now+1mo", "2027-04-16T21:11:37.987654321Z");
        check("now-2w[d]", "2027-03-03T00:00:00Z");
        check("now-5[]", "2027-03-17T10:42:26Z");
        check("now-+1s", "2027-03-17T10:42:30.987654321Z");
        check("now--0s", "2027-03-17T10:42:31.987654321Z");
        check("now[h]tail", "2027-03-17T10:00:00Z");
        let mut last = String::new();
        TimeName::parse("now+100000y[y]").unwrap().append(UtcTime::new(i64::MAX, 0), &mut last);
        assert_eq!(last, "+1000001970-01-01T00:00:00Z");
        check("now-3000y", "-0973-03-17T22:42:31.987654321Z");
    }

    #[test]
    fn what_is_no_time() {
        for name in [
            "",
            "then",
            "nowx",
            "now-",
            "now+",
            "now-1x",
            "now[x]",
            "now-1h[x]",
            "now_epoch",
            "now-1h]",
            "now[h",
            "now-1.5h",
            "now-1h-1h",
            "now[h][d]",
            "NOW",
            "now-1H",
            "now--1s",
            "now-99999999999999999999s",
            "now-9999999999999y",
            "now-é",
        ] {
            check(name, "unsupported");
        }
    }

    #[test]
    fn dates_there_and_back() {
        for days in (-1_000_000..1_000_000).step_by(17) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month) + day - 1, days);
            assert!((1..=12).contains(&month) && (1..=31).contains(&day));
        }
        assert_eq!(date_of(0), (1970, 1, 1));
        assert_eq!(date_of(11_016), (2000, 2, 29));
        assert_eq!(date_of(-719_529), (-1, 12, 31));
    }
}
