//! What holds for any input. The target in `fuzz/` looks for one that breaks it, `crashes/` has those that did.

use std::fmt::Debug;

use ditto_connection::{Connection, Target};

/// What is accepted is accepted again as it is kept, with the same targets; what is refused is refused with reasons.
pub(crate) fn connection(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let connection = match Connection::from_json(text) {
        Ok(connection) => connection,
        Err(report) => {
            assert!(report.has_errors());
            let lines = text.lines().count().max(1);
            let is_placed = |line| (1..=lines + 1).contains(&line);
            assert!(report.findings().iter().all(|it| it.position.is_none_or(|at| is_placed(at.line))));
            return;
        }
    };
    let kept = connection.definition_with_secrets().to_string();
    let again = Connection::from_json(&kept);
    assert_eq!(again.as_ref().err(), None, "{kept}");
    let Ok(again) = again else { return };
    assert_eq!(what(&again), what(&connection));
    let targets = |connection: &Connection| connection.targets().iter().map(target).collect::<Vec<_>>();
    assert_eq!(targets(&again), targets(&connection));
    assert!(!connection.targets().is_empty());
    assert!(connection.targets().iter().all(|target| !target.authorization_context().is_empty()));
}

fn what(connection: &Connection) -> impl PartialEq + Debug {
    (
        connection.id().clone(),
        connection.status(),
        (connection.uri().to_string(), connection.sasl_mechanism()),
        connection.bootstrap_servers().to_vec(),
        connection.ca().map(str::to_owned),
        connection.is_debug_enabled(),
    )
}

fn target(target: &Target) -> impl PartialEq + Debug + use<> {
    (
        target.address().clone(),
        target.topics().to_vec(),
        target.authorization_context().to_vec(),
        target.header_mapping().to_vec(),
        target.issued_acknowledgement_label().cloned(),
    )
}
