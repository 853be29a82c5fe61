//! Who has changed what: one line for each change.

use tracing::info;

use super::front::Asking;

/// Tells that a change was asked for, and what came of it. Nothing of a definition is in it but the id, so no secret is.
pub(super) fn change(by: &Asking, action: &str, connection: &str, outcome: &str) {
    info!(
        target: "audit",
        who = &*by.caller.name,
        from = %by.from.ip(),
        action,
        connection,
        outcome,
        correlation_id = &*by.correlation_id,
        "change"
    );
}
