//! Texts of signals as people see them: in one line, without what a terminal would obey.

use std::fmt::Write;

/// Longest text that is shown, in characters.
const MAX_SHOWN: usize = 200;
/// Most values that are shown.
const MAX_VALUES: usize = 16;

/// A text in quotes, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    let (cut, rest) = cut(text);
    for c in cut.chars() {
        if matches!(c, '"' | '\\') {
            shown.push('\\');
        }
        push(&mut shown, c);
    }
    shown.push('"');
    if rest > 0 {
        let _infallible = write!(shown, " and {rest} more characters");
    }
    shown
}

/// A text without quotes, cut where it is long.
pub(super) fn plain(text: &str) -> String {
    let (cut, rest) = cut(text);
    let mut shown = escaped(cut);
    shown.push_str(if rest > 0 { "…" } else { "" });
    shown
}

/// All of a text without quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::new();
    text.chars().for_each(|c| push(&mut shown, c));
    shown
}

/// Several texts in quotes.
pub(super) fn listed(texts: &[String]) -> String {
    let shown: Vec<_> = texts.iter().take(MAX_VALUES).map(|text| quoted(text)).collect();
    let rest = texts.len().saturating_sub(MAX_VALUES);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{rest}", shown.join(", "))
}

/// What is shown of a text, and how many characters are not.
fn cut(text: &str) -> (&str, usize) {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => {
            let (shown, rest) = text.split_at_checked(end).unwrap_or((text, ""));
            (shown, rest.chars().count())
        }
        None => (text, 0),
    }
}

fn push(shown: &mut String, c: char) {
    if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(quoted("ü\"\\\n\u{1b}[2J\u{9b}"), r#""ü\"\\\n\u{1b}[2J\u{9b}""#);
        assert_eq!(plain("a\tb"), "a\\tb");
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(quoted(&"ü".repeat(203)), format!("\"{}\" and 3 more characters", "ü".repeat(200)));
        assert_eq!(plain(&"x".repeat(201)), format!("{}…", "x".repeat(200)));
        let many: Vec<_> = (0..18).map(|n| n.to_string()).collect();
        assert!(listed(&many).ends_with(r#""15" and 2 more"#), "{}", listed(&many));
    }
}
