//! The classes of whole connections. What each of them changes is nothing where its predicate does not hold.

use serde_json::Value;

use super::Class;
use super::said::Said;
use crate::conformance::published::Published;

/// Rows of the same shape.
const FILES: &[&str] = &["headers", "outbound", "acks"];

macro_rules! class {
    ($id:literal, $change:ident) => {
        Class {
            id: $id,
            files: FILES,
            applies: |said, expected| changes(said, expected, |it, expected| it.$change(expected)),
            change: |said, expected| {
                if let Some(published) = said.published() {
                    published.$change(expected);
                }
            },
        }
    };
}

/// In the order in which they are applied: a row may be of several. A refusal is all that there is.
pub(super) const CLASSES: [Class; 9] = [
    class!("published-tilde-is-not-escaped-again", keep_tildes),
    class!("published-parts-are-what-may-be-read", put_cut),
    class!("announcements-reach-whom-they-name", tell_named_only),
    class!("unresolved-addresses-are-told", tell_unresolved),
    class!("failed-mappers-are-told", tell_thrown),
    class!("negative-partition-is-told", tell_partition),
    class!("negative-partition-is-not-published", refuse_partition),
    class!("foreign-labels-are-refused", refuse_label),
    class!("replies-are-not-published", drop_replies),
];

/// Whether a class has another answer than the reference, to a definition that the reference has run.
fn changes(said: &Said, expected: &Value, change: fn(&Published<'_>, &mut Value)) -> bool {
    let has_run = expected.get("records").is_some() && expected.get("validationError").is_none();
    has_run
        && said.published().is_some_and(|published| {
            let mut ours = expected.clone();
            change(&published, &mut ours);
            ours != *expected
        })
}
