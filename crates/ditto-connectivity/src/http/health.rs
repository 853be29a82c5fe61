//! Whether the service lives, and whether it works: two questions. Who restarts processes asks the first.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Api, reply};
use crate::report::Report;
use crate::standing::{Standing, Word, of_state};

/// Whether the process answers. Nothing else is looked at, and no login is needed.
#[utoipa::path(
    get, path = "/alive", tag = "health",
    responses((status = 200, description = "It does.", content_type = "application/json", body = ref("#/components/schemas/Health")))
)]
pub(super) async fn alive() -> Response {
    reply::json(StatusCode::OK, &json!({ "status": "UP" }))
}

/// Whether what all connections need works. No login is needed, and nothing else is told.
#[utoipa::path(
    get, path = "/health", tag = "health",
    responses(
        (status = 200, description = "It does.", content_type = "application/json", body = ref("#/components/schemas/Health")),
        (status = 503, description = "A part does not, for now.", content_type = "application/json", body = ref("#/components/schemas/Health"))
    )
)]
pub(super) async fn health(State(api): State<Api>) -> Response {
    let (status, word) = of_all(&api.parts());
    reply::json(status, &json!({ "status": word }))
}

/// The same, with each part and why it does not work, and how connections stand.
#[utoipa::path(
    get, path = "/status/health", tag = "health", security(("devops" = [])),
    responses(
        (status = 200, description = "It works.", content_type = "application/json", body = ref("#/components/schemas/Health")),
        (status = 503, description = "A part does not, for now.", content_type = "application/json", body = ref("#/components/schemas/Health"))
    )
)]
pub(super) async fn status_health(State(api): State<Api>) -> Response {
    let parts = api.parts();
    let (status, word) = of_all(&parts);
    let children: Vec<_> = parts.iter().map(Part::to_json).collect();
    let mut shown = json!({ "label": &*api.instance, "status": word, "children": children });
    // From inside out, as the reference has it: instance, service, cluster.
    for label in ["connectivity", "roles"] {
        shown = json!({ "label": label, "status": word, "children": [shown] });
    }
    reply::json(status, &shown)
}

/// Something that works or not, by what was seen of it last.
#[derive(Debug, PartialEq)]
struct Part {
    label: &'static str,
    is_up: bool,
    details: Vec<Value>,
}

impl Part {
    fn of(label: &'static str, trouble: Option<String>) -> Self {
        let is_up = trouble.is_none();
        Self { label, is_up, details: trouble.into_iter().map(|why| json!({ "ERROR": why })).collect() }
    }

    fn to_json(&self) -> Value {
        let word = if self.is_up { "UP" } else { "DOWN" };
        json!({ "label": self.label, "status": word, "details": self.details })
    }
}

fn of_all(parts: &[Part]) -> (StatusCode, &'static str) {
    match parts.iter().all(|part| part.is_up) {
        true => (StatusCode::OK, "UP"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "DOWN"),
    }
}

impl Api {
    fn parts(&self) -> Vec<Part> {
        let mut parts = vec![self.connections()];
        if let Some(report) = &self.report {
            parts.push(Part::of("feed", trouble_of_feed(report)));
            parts.extend(report.directory().map(|it| Part::of("directory", it.trouble())));
        }
        parts
    }

    /// They are told, and take nothing down: each is the business of its owner.
    fn connections(&self) -> Part {
        let mut stand: BTreeMap<String, usize> = BTreeMap::new();
        for record in self.registry.list() {
            if let Some(standing) = self.registry.status(record.connection.id()) {
                *stand.entry(standing.live.to_string()).or_default() += 1;
            }
        }
        let mut details = vec![json!({ "INFO": stand })];
        let unreadable = self.registry.unreadable().len();
        if unreadable > 0 {
            details.push(json!({ "WARN": format!("{unreadable} are kept and cannot be read, see the log") }));
        }
        Part { label: "connections", is_up: true, details }
    }
}

/// Why no lane gets anything. One that does not may have a connection of its own to blame.
fn trouble_of_feed(report: &Report) -> Option<String> {
    let feeds = report.feeds();
    let stand = feeds.iter().filter_map(|(.., monitor)| monitor.as_ref());
    no_lane_works(stand.map(|monitor| of_state(&monitor.connection_state(), &[])))
}

fn no_lane_works(stand: impl Iterator<Item = Standing>) -> Option<String> {
    let mut trouble = None;
    for standing in stand {
        if !matches!(standing.word, Word::Failed | Word::Misconfigured) {
            return None;
        }
        trouble = Some(standing.reason.unwrap_or_else(|| standing.word.to_string()));
    }
    trouble
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feed_works_as_long_as_one_lane_gets_it() {
        let standing = |word: Word| Standing { word, since: None, reason: Some(format!("it is {word}")) };
        let trouble = |words: &[Word]| no_lane_works(words.iter().map(|word| standing(*word)));
        assert_eq!(trouble(&[]), None);
        assert_eq!(trouble(&[Word::Failed, Word::Open]), None);
        assert_eq!(trouble(&[Word::Failed, Word::Unknown]), None);
        assert_eq!(trouble(&[Word::Misconfigured, Word::Failed]).as_deref(), Some("it is failed"));
    }

    #[test]
    fn one_part_takes_all_down() {
        let (up, down) = (Part::of("a", None), Part::of("b", Some("no answer".to_owned())));
        assert_eq!(
            down.to_json(),
            json!({ "label": "b", "status": "DOWN", "details": [{ "ERROR": "no answer" }] })
        );
        assert_eq!(of_all(&[up, down]), (StatusCode::SERVICE_UNAVAILABLE, "DOWN"));
        assert_eq!(of_all(&[Part::of("a", None)]), (StatusCode::OK, "UP"));
    }
}
