//! Bounds that hold before anything looks at a text.

use memchr::memmem;

/// Why a text goes past a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// Objects and arrays are nested too deep.
    #[error("nested deeper than {limit} levels at byte {at}")]
    TooDeep {
        /// The bound, in levels.
        limit: usize,
        /// Byte offset of the bracket that goes past it.
        at: usize,
    },
    /// A member has an empty name, which Ditto refuses.
    #[error("empty member name at byte {at}")]
    EmptyName {
        /// Byte offset of the name.
        at: usize,
    },
}

/// Checks the nesting and the member names of a JSON text that is known, or about to be found, well formed.
///
/// Nearly free for small documents: nothing is nested deeper than it has brackets, so only a text with more brackets
/// than `max_depth`, or with an empty string in it, is walked.
///
/// # Errors
/// The first place that goes past a bound.
pub fn check_limits(text: &str, max_depth: usize) -> Result<(), LimitError> {
    let bytes = text.as_bytes();
    let brackets = bytes.iter().filter(|&&byte| byte == b'{' || byte == b'[').count();
    if brackets <= max_depth && memmem::find(bytes, b"\"\"").is_none() {
        return Ok(());
    }
    walk(bytes, max_depth)
}

fn walk(bytes: &[u8], max_depth: usize) -> Result<(), LimitError> {
    let mut depth = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > max_depth {
                    return Err(LimitError::TooDeep { limit: max_depth, at });
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let end = end_of_string(bytes, at);
                if end == at + 1 && is_name(bytes, end + 1) {
                    return Err(LimitError::EmptyName { at });
                }
                at = end;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Offset of the quote that closes the string opened at `open`; the end of the text if none does.
pub(crate) fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(rest) = bytes.get(at..)
        && let Some(found) = memchr::memchr2(b'"', b'\\', rest)
    {
        if rest.get(found) == Some(&b'"') {
            return at + found;
        }
        at += found + 2;
    }
    bytes.len()
}

fn is_name(bytes: &[u8], after: usize) -> bool {
    bytes.iter().skip(after).find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, depth: usize, expected: Result<(), LimitError>) {
        assert_eq!(check_limits(text, depth), expected, "{text}");
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        check("[[1]]", 2, Ok(()));
        check("[[[1]]]", 2, Err(LimitError::TooDeep { limit: 2, at: 2 }));
        check(r#"["[[[[\"[[["]"#, 2, Ok(()));
        check("[[],[],[],[]]", 2, Ok(()));
        check(&"[".repeat(100_000), 64, Err(LimitError::TooDeep { limit: 64, at: 64 }));
    }

    #[test]
    fn empty_names_are_told_from_empty_values() {
        check(r#"{"a":"","b":["",""]}"#, 64, Ok(()));
        check(r#"{"a":{"" : 1}}"#, 64, Err(LimitError::EmptyName { at: 6 }));
        check(r#"{"a\"":1}"#, 64, Ok(()));
    }
}
