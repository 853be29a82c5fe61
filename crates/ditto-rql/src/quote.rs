//! Texts as filters and messages show them.

use std::fmt;

/// Writes a text as it stands within a string with double quotes, or within a property, which ends at a comma and at a
/// closing parenthesis as well.
pub(crate) fn write_escaped(f: &mut impl fmt::Write, text: &str, is_property: bool) -> fmt::Result {
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            ',' | ')' if is_property => write!(f, "\\u{:04x}", u32::from(c))?,
            '\0'..='\x1f' | '\x7f'..='\u{9f}' => write!(f, "\\u{:04x}", u32::from(c))?,
            _ => f.write_char(c)?,
        }
    }
    Ok(())
}

/// Longest text that a message repeats, in characters.
const MAX_SHOWN: usize = 80;

/// A text in one line, cut where it is long.
pub(crate) struct Shown<'t>(pub(crate) &'t str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, c) in self.0.chars().enumerate() {
            match c {
                _ if at == MAX_SHOWN => return f.write_str("…"),
                c if c.is_control() => write!(f, "{}", c.escape_debug())?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}
