//! Lines of bounded length.

use std::io::{self, BufRead};

/// A line of input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its bytes, without the line break.
    Bytes(Vec<u8>),
    /// Longer than allowed: its length. Nothing of it is kept.
    TooLong(usize),
}

/// Reads the next line; `None` at the end. Memory is bounded by `max` whatever the length of the line.
pub(crate) fn read_line(input: &mut impl BufRead, max: usize) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    let mut length = 0;
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            return Ok((length > 0).then(|| end(line, length, max)));
        }
        let line_break = memchr::memchr(b'\n', available);
        let part = available.get(..line_break.unwrap_or(available.len())).unwrap_or_default();
        length += part.len();
        // One more than allowed may be a carriage return.
        if length <= max + 1 {
            line.extend_from_slice(part);
        } else {
            line = Vec::new();
        }
        let used = part.len() + usize::from(line_break.is_some());
        input.consume(used);
        if line_break.is_some() {
            return Ok(Some(end(line, length, max)));
        }
    }
}

fn end(mut line: Vec<u8>, length: usize, max: usize) -> Line {
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    if length > max + 1 || line.len() > max { Line::TooLong(length) } else { Line::Bytes(line) }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    #[test]
    fn long_lines_are_counted_and_not_kept() {
        let text = b"ab\n\nabcdefghij\r\nabcde\r\nabcdef\nxy";
        for capacity in 1..12 {
            let mut input = BufReader::with_capacity(capacity, &text[..]);
            let mut lines = Vec::new();
            while let Some(line) = read_line(&mut input, 5).unwrap() {
                lines.push(line);
            }
            let bytes = |text: &str| Line::Bytes(text.into());
            let expected =
                [bytes("ab"), bytes(""), Line::TooLong(11), bytes("abcde"), Line::TooLong(6), bytes("xy")];
            assert_eq!(lines, expected, "buffer of {capacity}");
        }
    }
}
