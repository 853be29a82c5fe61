//! What holds for any input. The target in `fuzz/` looks for one that breaks it, `crashes/` has those that did.

use std::fmt::Debug;

use ditto_connection::{Connection, Draft, FilteredTopic, Severity, Target, TopicSubscription};

/// What is accepted reads back from its canonical form, from the masked one as well; what is refused is refused with
/// reasons, and with the error of the reference.
pub(crate) fn connection(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let connection = match Connection::from_json(text) {
        Ok(connection) => connection,
        Err(report) => {
            assert!(report.has_errors());
            assert!(
                report.first_error().is_some_and(|it| it.severity == Severity::Error && it.status() < 500)
            );
            let lines = text.lines().count().max(1);
            let is_placed = |line| (1..=lines + 1).contains(&line);
            assert!(report.findings().iter().all(|it| it.position.is_none_or(|at| is_placed(at.line))));
            return;
        }
    };
    let kept = connection.to_json_with_secrets();
    let again = Connection::from_json(&kept.to_string());
    assert_eq!(again.as_ref(), Ok(&connection), "{kept}");
    let masked = connection.to_json().to_string();
    assert_eq!(
        Draft::of_command(&masked).with_secrets_of(&connection).read().as_ref(),
        Ok(&connection),
        "{masked}"
    );
    let Ok(again) = again else { return };
    assert_eq!(again.to_json_with_secrets(), kept);
    assert_eq!(what(&again), what(&connection));
    let targets = |connection: &Connection| connection.targets().iter().map(target).collect::<Vec<_>>();
    assert_eq!(targets(&again), targets(&connection));
    let unserved =
        |connection: &Connection| connection.not_served().map(|it| it.pointer.clone()).collect::<Vec<_>>();
    assert!(unserved(&connection).len() <= unserved(&again).len());
    assert!(connection.sources().len() + connection.targets().len() > 0);
    assert!(connection.targets().iter().all(|target| !target.authorization_context().is_empty()));
    assert!(connection.sources().iter().all(|source| !source.authorization_context().is_empty()));
}

/// What is read can be written so that it reads back; what is refused is refused at a place in the text.
pub(crate) fn topic(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let topic: FilteredTopic = match text.parse() {
        Ok(topic) => topic,
        Err(error) => {
            let error: ditto_connection::TopicError = error;
            let (at, value) = error.place(text);
            assert!(value.is_char_boundary(at), "{error}");
            return;
        }
    };
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let extra_fields = topic.extra_fields().map(|it| format!("&extraFields={}", encode(&it.to_string())));
    let filter = topic.filter().map(|it| format!("&filter={}", encode(it)));
    let written = format!(
        "{}?namespaces={}{}{}",
        topic.topic(),
        encode(&topic.namespaces().join(",")),
        filter.unwrap_or_default(),
        extra_fields.unwrap_or_default()
    );
    assert_eq!(written.parse().as_ref(), Ok(&topic), "{written}");
    let definition = topic.to_definition();
    assert_eq!(definition.parse().as_ref(), Ok(&topic), "{definition}");
    let subscription = TopicSubscription::try_from(topic);
    assert_eq!(text.parse::<TopicSubscription>(), subscription);
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
