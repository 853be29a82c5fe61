//! Where a lane is to go, as it is written on the command line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ditto_kafka::SeekTo;
use jiff::Timestamp;

/// Where a lane is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination(SeekTo);

/// Why a text is no destination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected {expected} at position {at}; write earliest, latest, an offset, a time such as 2026-11-25T10:00:00Z, or how \
     far back from now, such as -15m or -PT15M"
)]
pub struct DestinationError {
    expected: &'static str,
    /// In characters, from 1.
    at: usize,
}

type Parsed<T> = Result<T, DestinationError>;

impl Destination {
    /// Reads `earliest`, `latest`, an offset, a time (RFC 3339), or how far back from now.
    ///
    /// # Errors
    /// Where it goes wrong, and what would be right there.
    pub fn parse(text: &str) -> Parsed<Self> {
        Self::parse_at(text, SystemTime::now())
    }

    fn parse_at(text: &str, now: SystemTime) -> Parsed<Self> {
        Ok(Self(match text {
            "earliest" => SeekTo::Earliest,
            "latest" => SeekTo::Latest,
            _ if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                SeekTo::Offset(text.parse().map_err(|_| wrong("an offset below 2^63", 0))?)
            }
            _ => match text.strip_prefix('-') {
                Some(back) => {
                    let back = Cursor { text: back.as_bytes(), at: 0, before: 1 }.back()?;
                    let time = now.checked_sub(back).unwrap_or(UNIX_EPOCH);
                    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
                    SeekTo::Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
                }
                None => SeekTo::Time(Cursor { text: text.as_bytes(), at: 0, before: 0 }.time(text)?),
            },
        }))
    }

    pub(crate) fn seek_to(self) -> SeekTo {
        self.0
    }
}

fn wrong(expected: &'static str, at: usize) -> DestinationError {
    DestinationError { expected, at: at + 1 }
}

/// A place in a text. What is understood is ASCII, so bytes before it are characters.
struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
    /// What was cut off in front.
    before: usize,
}

impl Cursor<'_> {
    // time = date "T" clock [ "." 1*digit ] ( "Z" | ( "+" | "-" ) 2digit ":" 2digit )
    fn time(mut self, text: &str) -> Parsed<i64> {
        const MONTH: &str = "a month of two digits";
        self.digits(4, "a time, or a year of four digits")?;
        self.one(b"-", "`-`")?;
        self.digits(2, MONTH)?;
        self.one(b"-", "`-`")?;
        self.digits(2, "a day of two digits")?;
        self.one(b"Tt", "`T` and a time of day")?;
        self.digits(2, "hours of two digits")?;
        self.one(b":", "`:`")?;
        self.digits(2, "minutes of two digits")?;
        self.one(b":", "`:`")?;
        self.digits(2, "seconds of two digits")?;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits(1, "parts of a second")?;
            while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                self.at += 1;
            }
        }
        match self.one(b"Zz+-", "`Z`, or an offset such as +01:00")? {
            b'Z' | b'z' => {}
            _ => {
                self.digits(2, "hours of two digits")?;
                self.one(b":", "`:`")?;
                self.digits(2, "minutes of two digits")?;
            }
        }
        self.end("nothing more")?;
        let time: Timestamp = text.parse().map_err(|_| wrong("a date and time that exist", 0))?;
        Ok(time.as_millisecond())
    }

    // back = 1*( number unit ) | "P" *( number "D" ) [ "T" 1*( number ( "H" | "M" | "S" ) ) ]
    fn back(mut self) -> Parsed<Duration> {
        let is_iso = self.peek() == Some(b'P');
        let mut units: &[u8] = if is_iso { b"D" } else { b"dhms" };
        let mut unit_names = if is_iso { "`D`" } else { "a unit: d, h, m or s" };
        self.at += usize::from(is_iso);
        let mut seconds = 0_u64;
        loop {
            if is_iso && units == b"D" && self.peek() == Some(b'T') {
                self.at += 1;
                (units, unit_names) = (b"HMS", "a unit: H, M or S");
            }
            let number = self.number()?;
            let factor = match self.one(units, unit_names)? {
                b'd' | b'D' => 86_400,
                b'h' | b'H' => 3_600,
                b'm' | b'M' => 60,
                _ => 1,
            };
            seconds = number
                .checked_mul(factor)
                .and_then(|more| seconds.checked_add(more))
                .ok_or_else(|| wrong("a shorter time", self.before))?;
            if self.peek().is_none() {
                return Ok(Duration::from_secs(seconds));
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn one(&mut self, of: &[u8], expected: &'static str) -> Parsed<u8> {
        let found = self.peek().filter(|byte| of.contains(byte));
        let found = found.ok_or_else(|| wrong(expected, self.before + self.at))?;
        self.at += 1;
        Ok(found)
    }

    fn digits(&mut self, n: usize, expected: &'static str) -> Parsed<()> {
        (0..n).try_for_each(|_| self.one(b"0123456789", expected).map(drop))
    }

    fn number(&mut self) -> Parsed<u64> {
        let digit = |byte: u8| u64::from(byte - b'0');
        let mut number = digit(self.one(b"0123456789", "a number")?);
        while let Some(byte) = self.peek().filter(u8::is_ascii_digit) {
            self.at += 1;
            number = number.saturating_mul(10).saturating_add(digit(byte));
        }
        Ok(number)
    }

    fn end(&self, expected: &'static str) -> Parsed<()> {
        if self.peek().is_none() { Ok(()) } else { Err(wrong(expected, self.before + self.at)) }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        // 2026-11-25T10:00:00Z
        let now = UNIX_EPOCH + Duration::from_secs(1_795_600_800);
        expected.assert_eq(&match Destination::parse_at(text, now) {
            Ok(Destination(SeekTo::Time(millis))) => {
                Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |it| it.to_string())
            }
            Ok(Destination(other)) => format!("{other:?}"),
            Err(DestinationError { expected, at }) => format!("{at}: {expected}"),
        });
    }

    #[test]
    fn ends_and_offsets() {
        check("earliest", expect!["Earliest"]);
        check("latest", expect!["Latest"]);
        check("0", expect!["Offset(0)"]);
        check("4711", expect!["Offset(4711)"]);
        check("99999999999999999999", expect!["1: an offset below 2^63"]);
        check("", expect!["1: a time, or a year of four digits"]);
        check("Earliest", expect!["1: a time, or a year of four digits"]);
    }

    #[test]
    fn times() {
        check("2026-11-25T10:00:00Z", expect!["2026-11-25T10:00:00Z"]);
        check("2026-11-25T10:00:00.25+01:30", expect!["2026-11-25T08:30:00.25Z"]);
        check("2026-11-25", expect!["11: `T` and a time of day"]);
        check("2026-11-25 10:00:00Z", expect!["11: `T` and a time of day"]);
        check("2026-11-25T10:00", expect!["17: `:`"]);
        check("2026-11-25T10:00:00", expect!["20: `Z`, or an offset such as +01:00"]);
        check("2026-11-25T10:00:00Zulu", expect!["21: nothing more"]);
        check("2026-13-25T10:00:00Z", expect!["1: a date and time that exist"]);
        check("26-11-25T10:00:00Z", expect!["3: a time, or a year of four digits"]);
    }

    #[test]
    fn back_from_now() {
        check("-15m", expect!["2026-11-25T09:45:00Z"]);
        check("-PT15M", expect!["2026-11-25T09:45:00Z"]);
        check("-1d2h", expect!["2026-11-24T08:00:00Z"]);
        check("-P1DT2H", expect!["2026-11-24T08:00:00Z"]);
        check("-P1D", expect!["2026-11-24T10:00:00Z"]);
        check("-100000d", expect!["1970-01-01T00:00:00Z"]);
        check("-", expect!["2: a number"]);
        check("-15", expect!["4: a unit: d, h, m or s"]);
        check("-15x", expect!["4: a unit: d, h, m or s"]);
        check("-P", expect!["3: a number"]);
        check("-P1M", expect!["4: `D`"]);
        check("-P1DT", expect!["6: a number"]);
        check("-99999999999999999999d", expect!["2: a shorter time"]);
    }
}
