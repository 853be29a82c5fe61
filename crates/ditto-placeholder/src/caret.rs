//! A place in a text, shown.

/// A place in `text`, a byte offset, with a caret below it: two lines. Of a long text only the surroundings are shown; what
/// does not print is shown as a blank. A place that is none is the end.
pub fn caret(text: &str, at: usize) -> String {
    /// Characters shown on each side.
    const AROUND: usize = 40;
    let (before, after) = text.split_at_checked(at).unwrap_or((text, ""));
    let skipped = before.chars().count().saturating_sub(AROUND);
    let line = |text: &mut dyn Iterator<Item = char>| -> String {
        text.map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).collect()
    };
    let before = line(&mut before.chars().skip(skipped));
    let shown = line(&mut after.chars().take(AROUND));
    format!("{before}{shown}\n{}^", " ".repeat(before.chars().count()))
}
